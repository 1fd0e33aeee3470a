"""Personal data in every form that is to be masked, and how a leak is known."""

from __future__ import annotations

import re

CARDS_OF_16 = (
    *("4242424242424242", "5555555555554444", "2223003122003222", "2720994326581252"),
    *("6011111111111117", "6440000000000000", "6490000000000000", "6500000000000000"),
    *("3528000700000000", "3589000000000000", "6200000000000005", "5018000000000009"),
    *("6304000000000000", "6759649826438453", "2200000000000004", "3600000000000008"),
)
"""Of each brand, at the edges of what it gives out."""

OTHER_CARDS = (
    ("4222", "222", "222", "222"),
    ("3782", "822463", "10005"),
    ("3056", "930902", "5904"),
    ("6200", "0000", "0000", "0000", "003"),
    ("4000", "0000", "0000", "0000", "006"),
    ("620000", "0000000000003"),
)
IN_ONE_PIECE = (
    *("501800000009", "5018000000009", "6304000000000000000", "4222222222222", "378282246310005"),
    *("30569309025904", "4000000000000000006", "6200000000000000003"),
)
SEPARATORS = (
    *("", " ", "-", "--", " - ", ".", "+", "_", ",", "/", "·", "\t", "\n", " – ", "−"),
    *("\u00a0", "\u2009", "\u2013", "%20", "%2B", "%2D", "%2F", "%2C", "%2520", "%C2%A0"),
    *("%E2%80%93", "&nbsp;", "&#160;", "&ndash;", r"\u00a0", r"\u2013", r"\n", r"\/"),
)
GROUPED = (
    *(f"{s}".join(re.findall("....", card)) for card in CARDS_OF_16 for s in SEPARATORS),
    *(
        s.join(groups)
        for groups in OTHER_CARDS
        for s in SEPARATORS
        if s not in {"", "."} or len(groups) > 2
    ),
)
CONTEXTS = (
    *(("user=", "&page=2"), ("user%3D", "%26page%3D2"), ("ValueError('", "')"), ("_", "_")),
    *(('{"who": "', '"}'), ("line\n", "\nnext"), ("#", ";"), (r"\u003d", r"\u003e"), ("", ".")),
    *((r"\x3d", ""), ("&#61;", "&amp;"), ("(", ")"), ("logo@2x.png ", " git@github.com")),
)
BETWEEN_LETTERS = (
    *(("x", ""), ("card", ""), ("code", ""), ("face", ""), ("карта", ""), ("", "です")),
    *(("", "and"), ("", "x"), ("", "face")),
)
EMAILS = (
    *("bob@example.com", "bob.o-neil+lab@mail.example.co.uk", "o'neil@example.com", "b@e.de"),
    *("jürgen@exämple.de", "ju\u0308rgen@example.com", "राम@उदाहरण.भारत", "คน@ตัวอย่าง.ไทย"),
    *("中文@例子.中国", "bob@xn--exmple-cua.com", "bob@example.xn--p1ai", "bob@1.example.com"),
    *('"bob"@example.com', '"bob smith"@example.com', r"\"bob\"@example.com", "bob!@example.com"),
    *("bob&@example.com", "bob/@example.com", "bob=@example.com", "{bob@example.com}"),
    *("bob＠example.com", "bob﹫example.com", "bob@example。com"),
    *("bob%40example.com", "bob%2540example.com", "bob%40example%2Ecom", "bob%EF%BC%A0example.com"),
    *("bob%40ex%C3%A4mple.de", "%D0%B8%40%D0%BF.%D1%80%D1%84"),
    *("bob&#64;example.com", "bob&#x40;example.com", "bob&commat;example.com"),
    *("bob@example&#46;com", r"bob\u0040example.com", r"bob\x40example.com"),
    *(r"j\u00fcrgen@ex\u00e4mple.de", "mailto:bob@example.com", "<bob@example.com>"),
    *("a|bob@example.com|c", "'bob'@example.com", "bob@example.com,bob@example.org"),
)
IN_CONTEXT = tuple(
    f"{before}{secret}{after}"
    for before, after in CONTEXTS
    for secret in ("4242424242424242", "4242-4242-4242-4242", "378282246310005", "bob@example.com")
)
FORMS = (
    *GROUPED,
    *IN_ONE_PIECE,
    *EMAILS,
    *IN_CONTEXT,
    *(f"{before}4242424242424242{after}" for before, after in BETWEEN_LETTERS),
    "4242424242424242,5555555555554444",
)
"""Each holds a card, by brand and length, or an address; often together with other things."""

LEAK = re.compile(r"bob|neil|rgen|राम|คน|中文|%D0%B8|b@e|\d{4}")
"""What of them must not be left."""

INNOCENT = (
    *("4711", "42.50", "SKU-4111-1111", "2026-11-22T16:13:45.483491Z", "600000000000"),
    *("4f1c2b3a-4111-4111-4111-411111111111", "4111111111111111411111111111111a"),
    *("41111111111111114111111111111111", "a4242424242424242424242424242424"),
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
    *("1795364025483491617", "1795364025483491", "time 1795364025483491617 ns", "1795364025483"),
    *("postgresql://shop:secret@127.0.0.1:5432/users", "127.0.0.1:5432", "@app.get", "5 @ 3.50"),
    *("logo@2x.png", "/static/logo@2x.png?v=3", "GET /img/logo@3x.webp 200", "logo@1.5x.png"),
    *("git@github.com", "git@github.com:org/repo.git", "ssh://git@github.com/org/repo"),
    *("cloning git@gitlab.example.com:a/b.git now", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
    "[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]",
)
"""Looks like one and is none."""

WHOLE_VALUES = (
    *("0.4142135623730951", "12.555555555555443", "4.242424242424242e-05", "-0.6011111111111117"),
    *("abcd4242-4242-4242-4242-424242424242", "4" * 32),
)
