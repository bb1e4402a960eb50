"""Verbs: English base, past | German infinitive, he-form, participle[, marks] | French infinitive.

German marks: `sein` (auxiliary), `dat` (governs the dative), `+form` (preterite, of states) and
`=form` (the I-form where it is not infinitive stem + e). "auf|stehen" is separable. French marks:
`etre` (auxiliary) and `se` (reflexive); a verb that is not in `FRENCH_IRREGULAR` ends in a regular
-er. English "_" stands for a space. Verbs are left out whose past looks like their present;
separable verbs that share a stem with others are favoured, as only the end of the clause tells.
"""

from attnreplace.data.grammar.lexicon import ANIMAL, FURNITURE, PERSON, PLACE, THING, Verb
from attnreplace.data.grammar.lexicon_nouns import BY_CATEGORY

CLOTHES = ("hat", "coat")
CARRIED = tuple(noun for noun in BY_CATEGORY[THING] if noun not in (*CLOTHES, "car"))
"""One verb in German and French, two in English: the object, which may be far off, tells."""

ACTIVITIES = """
    sleep slept           | schlafen schläft geschlafen             | dormir
    wait waited           | warten wartet gewartet                  | attendre
    get_up got            | auf|stehen steht aufgestanden sein      | lever se
    fall_asleep fell      | ein|schlafen schläft eingeschlafen sein | endormir se
    arrive arrived        | an|kommen kommt angekommen sein         | arriver etre
    stay stayed           | bleiben bleibt geblieben sein           | rester etre
"""
HUMAN_ACTIVITIES = """
    work worked           | arbeiten arbeitet gearbeitet            | travailler
    laugh laughed         | lachen lacht gelacht                    | rire
    sing sang             | singen singt gesungen                   | chanter
    dance danced          | tanzen tanzt getanzt                    | danser
"""
MOTIONS = """
    go went               | gehen geht gegangen sein                | aller etre
    come came             | kommen kommt gekommen sein              | venir etre
    return returned       | zurück|kommen kommt zurückgekommen sein | revenir etre
"""
DWELLING = """
    live lived            | wohnen wohnt gewohnt +wohnte            | habiter
"""
TRANSITIVE = {
    (PERSON, ANIMAL, THING, PLACE): """
    see saw               | sehen sieht gesehen                     | voir
    look_at looked        | an|sehen sieht angesehen                | regarder
    look_for looked       | suchen sucht gesucht                    | chercher
    find found            | finden findet gefunden                  | trouver
    """,
    (PERSON, ANIMAL): """
    love loved            | lieben liebt geliebt +liebte            | aimer
    hear heard            | hören hört gehört                       | entendre
    """,
    (PERSON, PLACE): """
    know knew             | kennen kennt gekannt +kannte            | connaître
    """,
    (PERSON,): """
    meet met              | treffen trifft getroffen                | rencontrer
    help helped           | helfen hilft geholfen dat               | aider
    thank thanked         | danken dankt gedankt dat                | remercier
    listen_to listened    | zu|hören hört zugehört dat              | écouter
    invite invited        | ein|laden lädt eingeladen               | inviter
    call called           | an|rufen ruft angerufen                 | appeler
    """,
    (ANIMAL, THING): """
    buy bought            | kaufen kauft gekauft                    | acheter
    sell sold             | verkaufen verkauft verkauft             | vendre
    paint painted         | malen malt gemalt                       | peindre
    have had              | haben hat gehabt +hatte                 | avoir
    """,
    (THING,): """
    lose lost             | verlieren verliert verloren             | perdre
    forget forgot         | vergessen vergisst vergessen            | oublier
    """,
    CARRIED: """
    carry carried         | tragen trägt getragen                   | porter
    """,
    CLOTHES: """
    wear wore             | tragen trägt getragen                   | porter
    """,
    (PLACE,): """
    visit visited         | besuchen besucht besucht                | visiter
    """,
    ("book", "letter"): """
    write wrote           | schreiben schreibt geschrieben          | écrire
    """,
    ("book", "letter", "bag", "umbrella"): """
    open opened           | auf|machen macht aufgemacht             | ouvrir
    close closed          | zu|machen macht zugemacht               | fermer
    """,
    ("car", "bicycle", "clock"): """
    repair repaired       | reparieren repariert repariert          | réparer
    """,
}
DITRANSITIVE = """
    give gave             | geben gibt gegeben                      | donner
    show showed           | zeigen zeigt gezeigt                    | montrer
    send sent             | schicken schickt geschickt              | envoyer
    bring brought         | bringen bringt gebracht                 | apporter
"""
THAT = """
    say said              | sagen sagt gesagt                       | dire
    know_that knew        | wissen weiß gewusst =weiß               | savoir
    believe believed      | glauben glaubt geglaubt                 | croire
    hope hoped            | hoffen hofft gehofft                    | espérer
"""
WHETHER = """
    ask asked             | fragen fragt gefragt                    | demander
"""
FRENCH_IRREGULAR = """
    dormir    dors dort dormons dorment dormi dormir
    attendre  attends attend attendons attendent attendu attendr
    lever     lève lève levons lèvent levé lèver
    endormir  endors endort endormons endorment endormi endormir
    rire      ris rit rions rient ri rir
    aller     vais va allons vont allé ir
    venir     viens vient venons viennent venu viendr
    revenir   reviens revient revenons reviennent revenu reviendr
    voir      vois voit voyons voient vu verr
    entendre  entends entend entendons entendent entendu entendr
    connaître connais connaît connaissons connaissent connu connaîtr
    appeler   appelle appelle appelons appellent appelé appeller
    acheter   achète achète achetons achètent acheté achèter
    vendre    vends vend vendons vendent vendu vendr
    peindre   peins peint peignons peignent peint peindr
    avoir     ai a avons ont eu aur
    perdre    perds perd perdons perdent perdu perdr
    écrire    écris écrit écrivons écrivent écrit écrir
    ouvrir    ouvre ouvre ouvrons ouvrent ouvert ouvrir
    envoyer   envoie envoie envoyons envoient envoyé enverr
    dire      dis dit disons disent dit dir
    savoir    sais sait savons savent su saur
    croire    crois croit croyons croient cru croir
    espérer   espère espère espérons espèrent espéré espérer
"""
"""Infinitive, present (je, il, nous, ils), participle, stem of the future."""
ANIMATE, HUMAN = (PERSON, ANIMAL), (PERSON,)


def _german_present(infinitive: str, he: str, first: str | None) -> tuple[str, str, str, str]:
    return (first or infinitive[:-2] + "e", he, infinitive, infinitive)


def _preterite(form: str) -> tuple[str, str, str, str]:
    return (form, form, form + "n", form + "n")


def _french_forms(infinitive: str) -> list[str]:
    """The columns of `FRENCH_IRREGULAR` for any verb."""
    for row in _rows(FRENCH_IRREGULAR):
        name, *forms = row.split()
        if name == infinitive:
            return forms
    stem = infinitive.removesuffix("er")
    return [stem + "e", stem + "e", stem + "ons", stem + "ent", stem + "é", infinitive]


def _verb(
    frame: str, row: str, subjects: tuple[str, ...], objects: tuple[str, ...]
) -> tuple[str, Verb]:
    english, german, french = (cell.split() for cell in row.split(" | "))
    prefix, _, infinitive = german[0].rpartition("|")
    marks = german[3:]
    first = next((mark[1:] for mark in marks if mark[0] == "="), None)
    past = next((mark[1:] for mark in marks if mark[0] == "+"), None)
    je, il, nous, ils, participle, future = _french_forms(french[0])
    key = english[0].replace("_", " ")
    # Two verbs are "know": the one with a clause has its own key.
    base = key.removesuffix(" that")
    return key, Verb(
        frame=frame,
        subjects=frozenset(subjects),
        objects=frozenset(noun for name in objects for noun in BY_CATEGORY.get(name, (name,))),
        english=base,
        english_past=" ".join([english[1], *base.split()[1:]]),
        german_prefix=prefix,
        german_infinitive=prefix + infinitive,
        german_present=_german_present(infinitive, german[1], first),
        german_participle=german[2],
        german_sein="sein" in marks,
        german_dative="dat" in marks,
        german_preterite=_preterite(past) if past else None,
        french_infinitive=french[0],
        french_present=(je, il, nous, ils),
        french_participle=participle,
        french_future=future,
        french_etre="etre" in french or "se" in french,
        french_reflexive="se" in french,
    )


def _rows(text: str) -> list[str]:
    return text.strip().splitlines()


BE = Verb(
    frame="copula",
    subjects=frozenset((PERSON, ANIMAL, THING, PLACE, FURNITURE)),
    objects=frozenset(),
    english="be",
    english_past="was",
    german_prefix="",
    german_infinitive="sein",
    german_present=("bin", "ist", "sind", "sind"),
    german_participle="gewesen",
    german_sein=True,
    german_dative=False,
    german_preterite=("war", "war", "waren", "waren"),
    french_infinitive="être",
    french_present=("suis", "est", "sommes", "sont"),
    french_participle="été",
    french_future="ser",
    french_etre=False,
    french_reflexive=False,
)

VERBS: dict[str, Verb] = dict(
    [("be", BE)]
    + [_verb("activity", row, ANIMATE, ()) for row in _rows(ACTIVITIES)]
    + [_verb("activity", row, HUMAN, ()) for row in _rows(HUMAN_ACTIVITIES)]
    + [_verb("motion", row, ANIMATE, ()) for row in _rows(MOTIONS)]
    + [_verb("dwelling", row, HUMAN, ()) for row in _rows(DWELLING)]
    + [
        _verb("transitive", row, ANIMATE if {PERSON, ANIMAL} <= {*objects} else HUMAN, objects)
        for objects, rows in TRANSITIVE.items()
        for row in _rows(rows)
    ]
    + [_verb("ditransitive", row, HUMAN, (THING,)) for row in _rows(DITRANSITIVE)]
    + [_verb("that", row, HUMAN, ()) for row in _rows(THAT)]
    + [_verb("whether", row, HUMAN, ()) for row in _rows(WHETHER)]
)
