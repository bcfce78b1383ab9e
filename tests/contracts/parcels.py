"""A capability in three versions, for tests: a rename, a split, a default, a removal."""

from __future__ import annotations

from shipway.contracts.model import Model
from shipway.contracts.versions import SAME, Cast, Edition, History


class RequestOne(Model):
    addressee: str
    place: str
    legacy_code: str


class RequestTwo(Model):
    """``addressee`` is called ``recipient`` now; ``place`` is a town and a country."""

    recipient: str
    town: str
    country: str
    legacy_code: str


class RequestThree(Model):
    """``express`` is new and has a default; ``legacy_code`` is gone."""

    recipient: str
    town: str
    country: str
    express: bool = False


class ResultOne(Model):
    parcel: str


class ResultThree(Model):
    parcel: str
    weight_g: int | None = None


def _named(data):
    town, _, country = data.pop("place").partition(", ")
    return data | {"recipient": data.pop("addressee"), "town": town, "country": country}


def _unnamed(data):
    place = f"{data.pop('town')}, {data.pop('country')}"
    return data | {"addressee": data.pop("recipient"), "place": place}


def _modern(data):
    del data["legacy_code"]
    return data | {"express": False}


def _legacy(data):
    del data["express"]
    return data | {"legacy_code": "none"}


def _without_weight(data):
    del data["weight_g"]
    return data


PARCELS = History(
    "send",
    Edition(1, RequestOne, ResultOne),
    Edition(2, RequestTwo, ResultOne, Cast(_named, _unnamed), SAME),
    Edition(
        3,
        RequestThree,
        ResultThree,
        Cast(_modern, _legacy, lost=("express",)),
        Cast(lambda data: data, _without_weight, lost=("weight_g",)),
    ),
)
