"""Deterministic CBOR (RFC 8949, 4.2.1) without tags and floats: one encoding for each value."""


class CborError(ValueError):
    """Not deterministic CBOR of the kinds that a sealed model has."""


def decode(data: bytes):
    """The value in `data`: int, bytes, str, list or dict; nothing may follow it."""
    value, end = _item(data, 0, 8)
    if end != len(data):
        raise CborError("bytes after the value")
    return value


def _item(data: bytes, at: int, depth: int):
    if depth == 0:
        raise CborError("nested too deeply")
    major, argument, at = _head(data, at)
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        value = data[at : at + argument]
        if len(value) != argument:
            raise CborError("a string ends too early")
        if major == 2:
            return value, at + argument
        try:
            return value.decode("utf-8"), at + argument
        except UnicodeDecodeError as error:
            raise CborError("text that is not UTF-8") from error
    if major == 4:
        items = []
        for _ in range(argument):
            item, at = _item(data, at, depth - 1)
            items.append(item)
        return items, at
    if major == 5:
        members, last = {}, None
        for _ in range(argument):
            begin = at
            key, at = _item(data, at, depth - 1)
            if last is not None and data[begin:at] <= last:
                raise CborError("keys that are not sorted")
            last = data[begin:at]
            if not isinstance(key, (int, str)):
                raise CborError("a key that is neither number nor text")
            members[key], at = _item(data, at, depth - 1)
        return members, at
    raise CborError("a kind that does not occur")


def _head(data: bytes, at: int):
    """Major type, argument, and where the content begins. An argument has its shortest form."""
    if at >= len(data):
        raise CborError("the data end too early")
    major, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return major, short, at + 1
    if short > 27:
        raise CborError("an indefinite or reserved length")
    size = 1 << (short - 24)
    raw = data[at + 1 : at + 1 + size]
    argument = int.from_bytes(raw, "big")
    if len(raw) != size or argument < (24 if size == 1 else 1 << (4 * size)):
        raise CborError("a number that is cut or not in its shortest form")
    return major, argument, at + 1 + size


def encode(value) -> bytes:
    """The one encoding of `value`."""
    if isinstance(value, int):
        return _write(0, value) if value >= 0 else _write(1, -1 - value)
    if isinstance(value, bytes):
        return _write(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode("utf-8")
        return _write(3, len(text)) + text
    if isinstance(value, list):
        return _write(4, len(value)) + b"".join(map(encode, value))
    members = sorted((encode(key), encode(member)) for key, member in value.items())
    return _write(5, len(members)) + b"".join(key + member for key, member in members)


def _write(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for more in range(4):
        if argument < 1 << (8 << more):
            return bytes([major << 5 | 24 + more]) + argument.to_bytes(1 << more, "big")
    raise CborError("a number of more than 64 bits")
