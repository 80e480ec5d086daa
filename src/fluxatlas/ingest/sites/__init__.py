"""Sites: readers of tower and chamber files, quality control, and the one site table that comes out."""
