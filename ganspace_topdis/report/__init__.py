"""What all pages and tables share: one style sheet, one table, one figure, one page skeleton, one number format."""
