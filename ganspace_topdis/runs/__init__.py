"""What every command needs around its work: run folders, atomic files, progress, signals, devices."""
