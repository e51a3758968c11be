"""Infrastructure of every run: files and their readers, downloads, run folders, processes, progress."""
