import re

import pytest
from stand_in_packages import FILLETS, SOUNDS

from src.data.speakers import PERSONS, chosen_persons, needed_packages


def test_the_table_of_persons() -> None:
    assert len({person.speaker for person in PERSONS}) == len(PERSONS)
    assert all(re.fullmatch("[a-z]+", person.speaker) for person in PERSONS)
    default, everyone = chosen_persons(full=False), chosen_persons(full=True)
    assert set(default) < set(everyone) == set(PERSONS)
    splits = {person.speaker: person.split for person in default}
    assert [name for name, split in splits.items() if split == "valid"] == ["menardi", "armelle"]
    assert [name for name, split in splits.items() if split == "test"] == ["carlo", "ivrvoiceru"]
    assert len(needed_packages(default)) == 10
    more = {"tuxpaint-stamps-default", "klettres-data", "ktuberling-data", "gcin-voice"}
    assert set(needed_packages(everyone)) - set(needed_packages(default)) == more
    held_out = [person for person in everyone if person.split != "train"]
    assert not any(person.may_be_missing for person in held_out)
    languages = {source.language for person in held_out for source in person.sources}
    children = [person for person in everyone if person.speaker.startswith(("kl", "kt"))]
    assert [p.speaker for p in children if {source.language for source in p.sources} & languages] == ["klfr"]  # a man


@pytest.mark.parametrize(
    ("speaker", "file", "matches"),
    [
        ("allison", f"{SOUNDS}/en_US_f_Allison/vm-goodbye.wav", True),
        ("allison", f"{SOUNDS}/en_US_f_Allison/digits/7.wav", True),
        ("allison", f"{SOUNDS}/en_US_f_Allison/tt-monkeysintro.wav", True),
        ("allison", f"{SOUNDS}/en_US_f_Allison/tt-monkeys.wav", False),
        ("allison", f"{SOUNDS}/en_US_f_Allison/silence/10.wav", False),
        ("allison", f"{SOUNDS}/en_US_f_Allison/confbridge-leave.wav", False),
        ("allison", f"{SOUNDS}/en_US_f_Allison/confbridge-leave-in.wav", True),
        ("allison", f"{SOUNDS}/en_US_f_Allison/descending-2tone.wav", False),
        ("allison", f"{SOUNDS}/en_US_f_Allison/beeperr.wav", False),
        ("armelle", f"{SOUNDS}/fr/beep.gsm", False),
        ("armelle", f"{SOUNDS}/fr/digits/1.gsm", True),
        ("filletscsm", f"{FILLETS}/city/cs/let-m-divna.ogg", True),
        ("filletscsm", f"{FILLETS}/share/border/cs/cil-m-hlaska1.ogg", True),
        ("filletscsm", f"{FILLETS}/city/cs/let-v-divna.ogg", False),
        ("filletscsm", f"{FILLETS}/rush/cs/m-myslis.ogg", False),
        ("filletscsm", f"{FILLETS}/city/nl/let-m-divna.ogg", False),
        ("tpro", "usr/share/tuxpaint/stamps/animals/birds/duck_desc_ro.ogg", True),
        ("tpro", "usr/share/tuxpaint/stamps/animals/birds/duck_desc_ru.ogg", False),
        ("tpda", "usr/share/tuxpaint/stamps/x_desc_da.ogg.ogg", False),
        ("filletscshs", f"{FILLETS}/city/cs/vit-hs-dite0.ogg", True),
        ("klptbr", "usr/share/klettres/pt_BR/syllab/ba.ogg", True),
        ("klptbr", "usr/share/klettres/pt/syllab/ba.ogg", False),
        ("klengb", "usr/share/klettres/en_GB/alpha/a.ogg", True),
        ("klen", "usr/share/klettres/en_GB/alpha/a.ogg", False),
        ("gcf", "usr/share/gcin-voice/ogg/ㄨㄥ4/5.ogg", True),
        ("gcf", "usr/share/gcin-voice/ogg/ㄨㄥ4/3.ogg", False),
        ("ktnn", "usr/share/ktuberling/sounds/nn/ball.opus", True),
        ("ktca", "usr/share/ktuberling/sounds/ca/tv_fence.ogg", True),
        ("ktca", "usr/share/ktuberling/sounds/ca/flask.ogg", False),
    ],
)
def test_which_files_are_a_persons(speaker: str, file: str, matches: bool) -> None:
    (person,) = [person for person in PERSONS if person.speaker == speaker]
    assert bool(re.fullmatch(person.sources[0].pattern, file)) is matches
