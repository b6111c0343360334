"""The graph as data, and everything that shows it: JSON, DOT, Mermaid, a tree in the terminal, a page, a picture."""
