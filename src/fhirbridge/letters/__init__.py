"""The templates of the letters that ship."""
