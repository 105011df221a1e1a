"""F1 to F23: importers that break their side of the contract."""
