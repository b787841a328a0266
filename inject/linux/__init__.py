"""What Linux says: system calls, their arguments and errnos, users and signals. Knows no policy and no run."""
