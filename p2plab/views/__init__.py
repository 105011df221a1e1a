"""Pure functions from (run, step) to a picture or to text. The text ones need nothing but Python."""
