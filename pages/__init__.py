"""The pages for visitors: the board, a page for each metal, the shop's screen, widgets."""
