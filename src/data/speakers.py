"""The persons of the demo corpus: who they are, in which packages their voices lie, and in which split they are.

One table, `PERSONS`, so that a person is in the same split everywhere, with `--full` and without it.
All packages are in Debian's section `main`; the licences are those of their copyright files.
"""

from dataclasses import dataclass

ASTERISK = r"usr/share/asterisk/sounds/(?!.*/silence/)(?:.*/)?(?!(?:tt-monkeys|confbridge-(?:join|leave))\.)"
ASTERISK += r"(?!beep)(?!.*2tone)[^/]+\.(?:wav|gsm)"  # the sounds left out are tones, noises and silences
FILLETS = r"usr/share/games/fillets-ng/sound/(?:[^/]+/)+{language}/[A-Za-z0-9]+-{letter}-[^/]*\.ogg"
TUXPAINT = r"usr/share/tuxpaint/stamps/.*_desc_{language}\.ogg"
GCIN = r"usr/share/gcin-voice/ogg/[^/]+/{number}\.ogg"
KLETTRES = r"usr/share/klettres/{folder}/(?:alpha|syllab)/[^/]+\.ogg"
KTUBERLING = r"usr/share/ktuberling/sounds/{language}/{name}\.(?:ogg|wav|opus)"


@dataclass(frozen=True)
class ClipSource:
    """Recordings of one person in one package."""

    package: str
    language: str  # ISO 639-1
    pattern: str  # regular expression that a file's path inside the package matches as a whole
    licence: str
    registry: str = "Debian"  # that the package is from


@dataclass(frozen=True)
class Person:
    """One speaker of the corpus. The name has no hyphen and no underscore: utterances are `<name>-0001`."""

    speaker: str
    sex: str  # F, M, or U where it is uncertain
    split: str  # train, valid or test
    sources: tuple[ClipSource, ...]
    full_only: bool = False

    @property
    def may_be_missing(self) -> bool:
        """Whether the corpus may do without, where another release of a package has no recordings of this person."""
        return self.full_only and self.split == "train"


def _core_sounds(language: str, licence: str) -> ClipSource:
    return ClipSource(f"asterisk-core-sounds-{language}-wav", language, ASTERISK, licence)


def _fillets(speaker: str, sex: str, language: str, letter: str, full_only: bool = False) -> Person:
    pattern = FILLETS.format(language=language, letter=letter)
    source = ClipSource(f"fillets-ng-data-{language}", language, pattern, "GPL-2")
    return Person(speaker, sex, "train", (source,), full_only)


def _tuxpaint(language: str, sex: str, split: str) -> Person:
    pattern = TUXPAINT.format(language=language)
    source = ClipSource("tuxpaint-stamps-default", language, pattern, "GPL-2+")
    return Person(f"tp{language}", sex, split, (source,), full_only=True)


def _klettres(language: str, sex: str, folder: str = "") -> Person:
    """Letters, syllables and short words for children who learn to read, in `folder` or that of the language."""
    pattern = KLETTRES.format(folder=folder or language)
    source = ClipSource("klettres-data", language, pattern, "GPL-2+")
    return Person(f"kl{(folder or language).replace('_', '').lower()}", sex, "train", (source,), full_only=True)


def _ktuberling(language: str, sex: str, name: str = "[^/]+") -> Person:
    """Names of the things that a child puts into a picture."""
    source = ClipSource("ktuberling-data", language, KTUBERLING.format(language=language, name=name), "GPL-2+")
    return Person(f"kt{language}", sex, "train", (source,), full_only=True)


def _gcin(speaker: str, sex: str, number: int, licence: str) -> Person:
    """All syllables of Mandarin, for an input method that says what was typed."""
    source = ClipSource("gcin-voice", "zh", GCIN.format(number=number), licence)
    return Person(speaker, sex, "train", (source,), full_only=True)


ARMELLE = ClipSource("asterisk-prompt-fr-armelle", "fr", ASTERISK, "BSD-like")
COLOMBIAN = ClipSource("asterisk-prompt-es-co", "es", ASTERISK, "GPL-2")
MENARDI = ClipSource("asterisk-prompt-it-menardi-wav", "it", ASTERISK, "CC-BY-SA-3.0-IT")

PERSONS = (
    # The same voice speaks English and Spanish.
    Person("allison", "F", "train", (_core_sounds("en", "CC-BY-SA-3.0"), _core_sounds("es", "CC-BY-SA-3.0"))),
    Person("june", "F", "train", (_core_sounds("fr", "CC-BY-SA-3.0"),)),
    Person("esco", "F", "train", (COLOMBIAN,)),
    _fillets("filletscsm", "F", "cs", "m"),  # malá ryba, the small fish
    _fillets("filletscsv", "M", "cs", "v"),  # velká ryba, the big fish
    _fillets("filletsnlm", "F", "nl", "m"),
    _fillets("filletsnlv", "M", "nl", "v"),
    _tuxpaint("be", "F", "train"),
    _tuxpaint("ca", "U", "train"),
    _tuxpaint("da", "M", "train"),
    _tuxpaint("fr", "M", "train"),
    # Many more persons of a minute or so each. Not taken are languages of the persons for validation and test, because
    # one of them may have lent the same voice; Danish, which may be tpda's; and folders in which several persons speak.
    _tuxpaint("es", "F", "train"),
    _tuxpaint("nl", "M", "train"),
    _tuxpaint("lt", "M", "train"),
    _fillets("filletscshs", "M", "cs", "hs", full_only=True),  # a voice that announces
    _fillets("filletscsc", "F", "cs", "c", full_only=True),  # numbers
    _fillets("filletscsr", "M", "cs", "r", full_only=True),
    _klettres("ar", "F"),
    _klettres("cs", "F"),
    _klettres("de", "F"),
    _klettres("en", "M"),
    _klettres("en", "F", "en_GB"),
    _klettres("es", "F"),
    _klettres("fr", "M"),
    _klettres("he", "U"),
    _klettres("hu", "M"),
    _klettres("lt", "M"),
    _klettres("ml", "M"),
    _klettres("nb", "F"),
    _klettres("nds", "M"),
    _klettres("nl", "F"),
    _klettres("pt", "F", "pt_BR"),
    _klettres("tn", "U"),  # a child, it seems
    _klettres("uk", "F"),
    _ktuberling("ca", "F", "(?:tv|robot|butterflies)_[^/]+"),  # others speak the rest
    _ktuberling("de", "U"),
    _ktuberling("en", "F"),
    _ktuberling("lt", "U"),
    _ktuberling("nn", "F"),
    _ktuberling("sl", "U"),
    _ktuberling("uk", "F"),
    _ktuberling("wa", "M"),
    _gcin("gcm", "M", 3, "GPL-3 or LGPL-3"),
    _gcin("gcf", "F", 5, "CC-BY-3.0"),
    Person("menardi", "F", "valid", (MENARDI,)),
    Person("armelle", "F", "valid", (ARMELLE,)),
    _tuxpaint("el", "F", "valid"),
    _tuxpaint("bg", "M", "valid"),
    Person("carlo", "M", "test", (_core_sounds("it", "CC-BY-3.0"),)),
    Person("ivrvoiceru", "F", "test", (_core_sounds("ru", "CC-BY-3.0"),)),
    _tuxpaint("ro", "F", "test"),
    _tuxpaint("ru", "M", "test"),
)


def chosen_persons(full: bool) -> tuple[Person, ...]:
    """The persons of the default corpus, or with `full` all of them."""
    return tuple(person for person in PERSONS if full or not person.full_only)


def needed_packages(persons: tuple[Person, ...]) -> list[str]:
    """The names of the packages that hold the persons' recordings, each once, in the table's order."""
    return list(dict.fromkeys(source.package for person in persons for source in person.sources))
