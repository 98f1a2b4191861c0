"""Numbers of things in words."""


def counted(number: int, noun: str) -> str:
    """A number and what is counted, in the plural but for one.

    Example:
        >>> counted(1, 'image'), counted(2000, 'label map')
        ('1 image', '2,000 label maps')
    """
    return f'{number:,} {noun}' + ('' if number == 1 else 's')
