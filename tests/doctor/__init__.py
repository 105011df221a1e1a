"""What the doctor finds in broken installations, each broken on purpose."""
