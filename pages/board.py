"""The board: live prices of the rows that its reader chose."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from pages import memory


def board(request: HttpRequest) -> HttpResponse:
    """The page that shows the stream, with a card for each listed metal."""
    listed = memory.current(request).past.listed
    return render(request, "board.html", {"symbols": {metal: metal.symbol for metal in listed}})
