"""E1 to E18: exporters that break their side of the contract, or show what keeping it costs."""
