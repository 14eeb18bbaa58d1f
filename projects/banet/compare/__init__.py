"""Networks under one recipe: trained with seeds, kept as rows, compared."""
