"""Rooms: events and their 9-digit ids, who may join and as what, the orders to the media server, what was used."""
