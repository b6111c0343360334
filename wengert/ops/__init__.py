"""What can be computed: tables of declarations, by family."""
