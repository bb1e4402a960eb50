"""Nouns: English | German gender, singular, plural, genitive | French gender, singular, plural."""

from attnreplace.data.grammar.lexicon import ANIMAL, FURNITURE, PERSON, PLACE, THING, Noun

ROWS = {
    PERSON: """
        man men             | m Mann Männer Mannes              | m homme
        woman women         | f Frau Frauen                     | f femme
        child children      | n Kind Kinder Kindes              | m enfant
        boy                 | m Junge Jungen Jungen weak        | m garçon
        girl                | n Mädchen Mädchen Mädchens        | f fille
        teacher             | m Lehrer Lehrer Lehrers           | m professeur
        doctor              | m Arzt Ärzte Arztes               | m médecin
        friend              | m Freund Freunde Freundes         | m ami
        neighbour           | m Nachbar Nachbarn Nachbarn weak  | m voisin
        student             | m Student Studenten Studenten weak | m étudiant
        king                | m König Könige Königs             | m roi
        queen               | f Königin Königinnen              | f reine
        mother              | f Mutter Mütter                   | f mère
        father              | m Vater Väter Vaters              | m père
        sister              | f Schwester Schwestern            | f sœur
        brother             | m Bruder Brüder Bruders           | m frère
        actress actresses   | f Schauspielerin Schauspielerinnen | f actrice
    """,
    ANIMAL: """
        dog                 | m Hund Hunde Hundes               | m chien
        cat                 | f Katze Katzen                    | m chat
        horse               | n Pferd Pferde Pferdes            | m cheval chevaux
        bird                | m Vogel Vögel Vogels              | m oiseau oiseaux
        cow                 | f Kuh Kühe                        | f vache
        elephant            | m Elefant Elefanten Elefanten weak | m éléphant
    """,
    THING: """
        book                | n Buch Bücher Buches              | m livre
        letter              | m Brief Briefe Briefes            | f lettre
        key                 | m Schlüssel Schlüssel Schlüssels  | f clé
        picture             | n Bild Bilder Bildes              | f image
        bag                 | f Tasche Taschen                  | m sac
        hat                 | m Hut Hüte Hutes                  | m chapeau chapeaux
        coat                | m Mantel Mäntel Mantels           | m manteau manteaux
        flower              | f Blume Blumen                    | f fleur
        newspaper           | f Zeitung Zeitungen               | m journal journaux
        umbrella            | m Regenschirm Regenschirme Regenschirms | m parapluie
        car                 | n Auto Autos Autos                | f voiture
        bicycle             | n Fahrrad Fahrräder Fahrrads      | m vélo
        clock               | f Uhr Uhren                       | f horloge
    """,
    PLACE: """
        garden              | m Garten Gärten Gartens           | m jardin
        house               | n Haus Häuser Hauses              | f maison
        kitchen             | f Küche Küchen                    | f cuisine
        school              | f Schule Schulen                  | f école
        station             | m Bahnhof Bahnhöfe Bahnhofs       | f gare
        church churches     | f Kirche Kirchen                  | f église
        village             | n Dorf Dörfer Dorfes              | m village
        museum              | n Museum Museen Museums           | m musée
        park                | m Park Parks Parks                | m parc
        hotel               | n Hotel Hotels Hotels             | m hôtel
        library libraries   | f Bibliothek Bibliotheken         | f bibliothèque
        office              | n Büro Büros Büros                | m bureau bureaux
    """,
    FURNITURE: """
        table               | m Tisch Tische Tisches            | f table
        chair               | m Stuhl Stühle Stuhls             | f chaise
    """,
}


def _noun(category: str, row: str) -> tuple[str, Noun]:
    english, german, french = (cell.split() for cell in row.split("|"))
    gender, singular, plural, *genitive = german
    french_gender, french_singular, *french_plural = french
    return english[0], Noun(
        category=category,
        english=(english[0], english[-1] if len(english) > 1 else english[0] + "s"),
        german_gender=gender,
        german=(singular, plural),
        german_genitive=genitive[0] if genitive else singular,
        german_weak=genitive[1:] == ["weak"],
        french_gender=french_gender,
        french=(french_singular, french_plural[0] if french_plural else french_singular + "s"),
    )


NOUNS: dict[str, Noun] = dict(
    _noun(category, row) for category, rows in ROWS.items() for row in rows.strip().splitlines()
)

BY_CATEGORY: dict[str, tuple[str, ...]] = {
    category: tuple(key for key, noun in NOUNS.items() if noun.category == category)
    for category in ROWS
}
