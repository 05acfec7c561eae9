"""What do the results look like: tables in, plotly figures out."""
