"""Known sentences in three languages, written by hand."""

import pytest

from attnreplace.data.grammar.abstract import (
    Both,
    Clause,
    Common,
    Name,
    Phrase,
    Place,
    Pronoun,
    Quality,
    Relative,
    Sentence,
    depth,
)
from attnreplace.data.grammar.corpus import LINEARISERS

ME, HE, SHE, WE, THEY = (Pronoun(word) for word in ("I", "he", "she", "we", "they"))
ANNA, EMIL, PAUL = Name("Anna"), Name("Emil"), Name("Paul")


def np(noun: str, *adjectives: str, det: str = "the", num: str | None = None, **rest) -> Common:
    return Common(noun, False, det, num, adjectives, **rest)


def nps(noun: str, *adjectives: str, det: str = "the", num: str | None = None, **rest) -> Common:
    return Common(noun, True, det, num, adjectives, **rest)


def s(verb: str, mode: str, subject: Phrase | None = None, **rest) -> Clause:
    return Clause(verb, mode, subject=subject, **rest)


def at(preposition: str, phrase: Common) -> Place:
    return Place(preposition, phrase)


def who(role: str, clause: Clause) -> Relative:
    return Relative(role, clause)


SIMPLE = [
    (
        s("sleep", "present", np("man", "old")),
        "The old man sleeps.",
        "Der alte Mann schläft.",
        "Le vieil homme dort.",
    ),
    (
        s("see", "past", np("man"), object=np("dog", "big", "black", det="a")),
        "The man saw a big black dog.",
        "Der Mann hat einen großen schwarzen Hund gesehen.",
        "L'homme a vu un grand chien noir.",
    ),
    (
        s("see", "past", np("man"), object=np("dog", det="a"), negated=True),
        "The man did not see a dog.",
        "Der Mann hat keinen Hund gesehen.",
        "L'homme n'a pas vu de chien.",
    ),
    (
        s("buy", "present", ME, object=nps("newspaper", "old", det="a"), negated=True),
        "I do not buy old newspapers.",
        "Ich kaufe keine alten Zeitungen.",
        "Je n'achète pas de vieux journaux.",
    ),
    (
        s("buy", "future", WE, object=nps("umbrella", "beautiful", det="a")),
        "We will buy beautiful umbrellas.",
        "Wir werden schöne Regenschirme kaufen.",
        "Nous achèterons de beaux parapluies.",
    ),
    (
        s("get up", "past", np("woman"), time="yesterday"),
        "The woman got up yesterday.",
        "Die Frau ist gestern aufgestanden.",
        "La femme s'est levée hier.",
    ),
    (
        s("get up", "present", SHE, time="in the evening", time_first=True),
        "In the evening she gets up.",
        "Am Abend steht sie auf.",
        "Le soir, elle se lève.",
    ),
    (
        s("get up", "want", ME, negated=True),
        "I do not want to get up.",
        "Ich will nicht aufstehen.",
        "Je ne veux pas me lever.",
    ),
    (
        s("fall asleep", "future", np("actress", det="a")),
        "An actress will fall asleep.",
        "Eine Schauspielerin wird einschlafen.",
        "Une actrice s'endormira.",
    ),
    (
        s("go", "past", Both(ANNA, np("queen")), place=at("to", np("station"))),
        "Anna and the queen went to the station.",
        "Anna und die Königin sind zum Bahnhof gegangen.",
        "Anna et la reine sont allées à la gare.",
    ),
    (
        s("go", "past", Both(ANNA, PAUL), place=at("to", np("museum"))),
        "Anna and Paul went to the museum.",
        "Anna und Paul sind zum Museum gegangen.",
        "Anna et Paul sont allés au musée.",
    ),
    (
        s("come", "can", nps("child"), place=at("to", np("school"))),
        "The children can come to the school.",
        "Die Kinder können zur Schule kommen.",
        "Les enfants peuvent venir à l'école.",
    ),
    (
        s("return", "present", np("king"), place=Place("to", None, "Athens"), negated=True),
        "The king does not return to Athens.",
        "Der König kommt nicht nach Athen zurück.",
        "Le roi ne revient pas à Athènes.",
    ),
    (
        s("live", "past", EMIL, place=Place("in", None, "Vienna")),
        "Emil lived in Vienna.",
        "Emil wohnte in Wien.",
        "Emil habitait à Vienne.",
    ),
    (
        s("give", "present", np("teacher"), object=np("book"), recipient=nps("girl")),
        "The teacher gives the book to the girls.",
        "Der Lehrer gibt den Mädchen das Buch.",
        "Le professeur donne le livre aux filles.",
    ),
    (
        s("give", "past", HE, object=nps("flower"), recipient=THEY, negated=True),
        "He did not give the flowers to them.",
        "Er hat ihnen die Blumen nicht gegeben.",
        "Il ne leur a pas donné les fleurs.",
    ),
    (
        s("send", "must", SHE, object=np("letter", det="a"), recipient=ME, time="tomorrow"),
        "She must send a letter to me tomorrow.",
        "Sie muss mir morgen einen Brief schicken.",
        "Elle doit m'envoyer une lettre demain.",
    ),
    (
        s("show", "past", np("boy"), object=np("key"), recipient=np("friend", "old", det="my")),
        "The boy showed the key to my old friend.",
        "Der Junge hat meinem alten Freund den Schlüssel gezeigt.",
        "Le garçon a montré la clé à mon vieil ami.",
    ),
    (
        s("help", "past", np("student"), object=nps("neighbour", det="our"), time="last week"),
        "The student helped our neighbours last week.",
        "Der Student hat letzte Woche unseren Nachbarn geholfen.",
        "L'étudiant a aidé nos voisins la semaine dernière.",
    ),
    (
        s("help", "present", np("mother"), object=HE),
        "The mother helps him.",
        "Die Mutter hilft ihm.",
        "La mère l'aide.",
    ),
    (
        s("see", "past", np("mother"), object=THEY),
        "The mother saw them.",
        "Die Mutter hat sie gesehen.",
        "La mère les a vus.",
    ),
    (
        s("listen to", "present", WE, object=np("actress", det="this"), negated=True),
        "We do not listen to this actress.",
        "Wir hören dieser Schauspielerin nicht zu.",
        "Nous n'écoutons pas cette actrice.",
    ),
    (
        s(
            "call",
            "past",
            PAUL,
            object=np("student", det="this"),
            time="yesterday",
            time_first=True,
        ),
        "Yesterday Paul called this student.",
        "Gestern hat Paul diesen Studenten angerufen.",
        "Hier, Paul a appelé cet étudiant.",
    ),
    (
        s("invite", "present", np("father"), object=ME, time="every day"),
        "The father invites me every day.",
        "Der Vater lädt mich jeden Tag ein.",
        "Le père m'invite chaque jour.",
    ),
    (
        s("look for", "present", nps("bird"), object=np("cow", "white", det="their")),
        "The birds look for their white cow.",
        "Die Vögel suchen ihre weiße Kuh.",
        "Les oiseaux cherchent leur vache blanche.",
    ),
    (
        s("have", "past", np("king"), object=nps("horse", "young", det="a", num="three")),
        "The king had three young horses.",
        "Der König hatte drei junge Pferde.",
        "Le roi avait trois jeunes chevaux.",
    ),
    (
        s("have", "present", np("man"), object=nps("car", det="many")),
        "The man has many cars.",
        "Der Mann hat viele Autos.",
        "L'homme a beaucoup de voitures.",
    ),
    (
        s("wait", "present", nps("man", "old", det="a"), place=at("next to", np("park"))),
        "Old men wait next to the park.",
        "Alte Männer warten neben dem Park.",
        "De vieux hommes attendent à côté du parc.",
    ),
    (
        s("wait", "present", ME, place=at("next to", nps("church", "old", det="a"))),
        "I wait next to old churches.",
        "Ich warte neben alten Kirchen.",
        "J'attends à côté de vieilles églises.",
    ),
    (
        s("be", "past", nps("house", "old"), quality=Quality("beautiful")),
        "The old houses were beautiful.",
        "Die alten Häuser waren schön.",
        "Les vieilles maisons étaient belles.",
    ),
    (
        s("be", "present", np("picture", det="my"), quality=Quality("good", np("book"))),
        "My picture is better than the book.",
        "Mein Bild ist besser als das Buch.",
        "Mon image est meilleure que le livre.",
    ),
    (
        s("be", "future", nps("school", det="this"), quality=Quality("modern", np("office"))),
        "These schools will be more modern than the office.",
        "Diese Schulen werden moderner als das Büro sein.",
        "Ces écoles seront plus modernes que le bureau.",
    ),
    (
        s("be", "present", np("key"), place=at("on", np("table", "heavy", det="a")), negated=True),
        "The key is not on a heavy table.",
        "Der Schlüssel ist nicht auf einem schweren Tisch.",
        "La clé n'est pas sur une table lourde.",
    ),
    (
        s("see", "present", np("dog", "young", owner=np("teacher", "old")), object=np("cat")),
        "The old teacher's young dog sees the cat.",
        "Der junge Hund des alten Lehrers sieht die Katze.",
        "Le jeune chien du vieux professeur voit le chat.",
    ),
    (
        s("see", "present", ME, object=np("bicycle", "new", owner=ANNA)),
        "I see Anna's new bicycle.",
        "Ich sehe Annas neues Fahrrad.",
        "Je vois le nouveau vélo d'Anna.",
    ),
    (
        s("find", "past", SHE, object=np("hat", owner=nps("student"))),
        "She found the students' hat.",
        "Sie hat den Hut der Studenten gefunden.",
        "Elle a trouvé le chapeau des étudiants.",
    ),
    (
        s("find", "past", SHE, object=nps("bag", owner=np("actress"))),
        "She found the actress's bags.",
        "Sie hat die Taschen der Schauspielerin gefunden.",
        "Elle a trouvé les sacs de l'actrice.",
    ),
    (
        s("sing", "present", np("man", origin="Athens")),
        "The man from Athens sings.",
        "Der Mann aus Athen singt.",
        "L'homme d'Athènes chante.",
    ),
    (
        s("laugh", "past", np("boy", bearing=np("umbrella", "expensive", det="a"))),
        "The boy with an expensive umbrella laughed.",
        "Der Junge mit einem teuren Regenschirm hat gelacht.",
        "Le garçon avec un parapluie cher a ri.",
    ),
    (
        s("work", "present", np("doctor", "tired", det="every"), place=at("in", np("garden"))),
        "Every tired doctor works in the garden.",
        "Jeder müde Arzt arbeitet im Garten.",
        "Chaque médecin fatigué travaille dans le jardin.",
    ),
]

RELATIVES = [
    (
        s("sing", "present", np("woman", relative=who("subject", s("see", "past", object=HE)))),
        "The woman who saw him sings.",
        "Die Frau, die ihn gesehen hat, singt.",
        "La femme qui l'a vu chante.",
    ),
    (
        s(
            "be",
            "past",
            nps("letter", relative=who("object", s("write", "past", HE))),
            quality=Quality("good"),
        ),
        "The letters that he wrote were good.",
        "Die Briefe, die er geschrieben hat, waren gut.",
        "Les lettres qu'il a écrites étaient bonnes.",
    ),
    (
        s("know", "present", ME, object=np("man", relative=who("object", s("help", "past", ANNA)))),
        "I know the man whom Anna helped.",
        "Ich kenne den Mann, dem Anna geholfen hat.",
        "Je connais l'homme qu'Anna a aidé.",
    ),
    (
        s(
            "laugh",
            "present",
            nps(
                "girl",
                relative=who(
                    "recipient", s("give", "past", np("king"), object=np("clock", det="a"))
                ),
            ),
        ),
        "The girls to whom the king gave a clock laugh.",
        "Die Mädchen, denen der König eine Uhr gegeben hat, lachen.",
        "Les filles à qui le roi a donné une horloge rient.",
    ),
    (
        s(
            "live",
            "present",
            SHE,
            place=at("in", np("house", relative=who("place", s("arrive", "past", np("sister"))))),
        ),
        "She lives in the house in which the sister arrived.",
        "Sie wohnt in dem Haus, in dem die Schwester angekommen ist.",
        "Elle habite dans la maison dans laquelle la sœur est arrivée.",
    ),
    (
        s(
            "open",
            "past",
            np("child"),
            object=np(
                "book", relative=who("subject", s("be", "present", place=at("under", np("chair"))))
            ),
        ),
        "The child opened the book that is under the chair.",
        "Das Kind hat das Buch, das unter dem Stuhl ist, aufgemacht.",
        "L'enfant a ouvert le livre qui est sous la chaise.",
    ),
]

SENTENCES = [
    (
        Sentence(s("dance", "present", ANNA), link="because", second=s("arrive", "past", SHE)),
        "Anna dances because she arrived.",
        "Anna tanzt, weil sie angekommen ist.",
        "Anna danse parce qu'elle est arrivée.",
    ),
    (
        Sentence(
            s("sleep", "past", ME),
            link="when",
            second=s("call", "past", HE, object=WE),
            second_first=True,
        ),
        "When he called us, I slept.",
        "Als er uns angerufen hat, habe ich geschlafen.",
        "Quand il nous a appelés, j'ai dormi.",
    ),
    (
        Sentence(
            s("sleep", "present", ME), link="when", second=s("invite", "present", HE, object=THEY)
        ),
        "I sleep when he invites them.",
        "Ich schlafe, wenn er sie einlädt.",
        "Je dors quand il les invite.",
    ),
    (
        Sentence(
            s("laugh", "future", WE),
            link="if",
            second=s("forget", "present", HE, object=np("hat", det="his")),
            second_first=True,
        ),
        "If he forgets his hat, we will laugh.",
        "Falls er seinen Hut vergisst, werden wir lachen.",
        "S'il oublie son chapeau, nous rirons.",
    ),
    (
        Sentence(
            s("work", "present", np("father")),
            link="while",
            second=s("fall asleep", "present", EMIL),
        ),
        "The father works while Emil falls asleep.",
        "Der Vater arbeitet, während Emil einschläft.",
        "Le père travaille pendant qu'Emil s'endort.",
    ),
    (
        Sentence(
            s("sing", "present", ME),
            link="but",
            second=s(
                "see", "past", THEY, object=ME, time="yesterday", time_first=True, negated=True
            ),
        ),
        "I sing, but yesterday they did not see me.",
        "Ich singe, aber gestern haben sie mich nicht gesehen.",
        "Je chante, mais hier, ils ne m'ont pas vu.",
    ),
    (
        Sentence(s("sing", "present", ME), link="and", second=s("dance", "present", nps("cow"))),
        "I sing, and the cows dance.",
        "Ich singe und die Kühe tanzen.",
        "Je chante et les vaches dansent.",
    ),
    (
        Sentence(
            s(
                "know that",
                "present",
                ME,
                complement=s("repair", "past", np("king"), object=np("car"), time="last year"),
            )
        ),
        "I know that the king repaired the car last year.",
        "Ich weiß, dass der König letztes Jahr das Auto repariert hat.",
        "Je sais que le roi a réparé la voiture l'année dernière.",
    ),
    (
        Sentence(
            s(
                "ask",
                "present",
                np("neighbour"),
                time="today",
                time_first=True,
                complement=s("come", "want", HE, place=at("to", np("office"))),
            )
        ),
        "Today the neighbour asks whether he wants to come to the office.",
        "Heute fragt der Nachbar, ob er zum Büro kommen will.",
        "Aujourd'hui, le voisin demande s'il veut venir au bureau.",
    ),
    (
        Sentence(s("see", "past", np("man"), object=np("elephant", det="a")), "whether"),
        "Did the man see an elephant?",
        "Hat der Mann einen Elefanten gesehen?",
        "Est-ce que l'homme a vu un éléphant ?",
    ),
    (
        Sentence(s("be", "present", ANNA, quality=Quality("happy"), negated=True), "whether"),
        "Is Anna not happy?",
        "Ist Anna nicht glücklich?",
        "Est-ce qu'Anna n'est pas heureuse ?",
    ),
    (
        Sentence(s("close", "present", object=np("umbrella")), "who"),
        "Who closes the umbrella?",
        "Wer macht den Regenschirm zu?",
        "Qui ferme le parapluie ?",
    ),
    (
        Sentence(s("thank", "past", nps("child")), "whom"),
        "Whom did the children thank?",
        "Wem haben die Kinder gedankt?",
        "Qui est-ce que les enfants ont remercié ?",
    ),
    (
        Sentence(s("carry", "can", HE), "what"),
        "What can he carry?",
        "Was kann er tragen?",
        "Qu'est-ce qu'il peut porter ?",
    ),
    (
        Sentence(s("visit", "want", np("boy"), object=np("library"), time="next week"), "why"),
        "Why does the boy want to visit the library next week?",
        "Warum will der Junge nächste Woche die Bibliothek besuchen?",
        "Pourquoi est-ce que le garçon veut visiter la bibliothèque la semaine prochaine ?",
    ),
    (
        Sentence(s("stay", "past", nps("mother")), "where"),
        "Where did the mothers stay?",
        "Wo sind die Mütter geblieben?",
        "Où est-ce que les mères sont restées ?",
    ),
    (
        Sentence(s("meet", "future", ME, object=np("friend", det="their")), "when"),
        "When will I meet their friend?",
        "Wann werde ich ihren Freund treffen?",
        "Quand est-ce que je rencontrerai leur ami ?",
    ),
]

GOLD = [(Sentence(clause), *texts) for clause, *texts in SIMPLE + RELATIVES] + SENTENCES


@pytest.mark.parametrize(
    ("sentence", "english", "german", "french"), GOLD, ids=[row[1] for row in GOLD]
)
def test_gold(sentence: Sentence, english: str, german: str, french: str) -> None:
    assert {language: linearise(sentence) for language, linearise in LINEARISERS.items()} == {
        "de": german,
        "en": english,
        "fr": french,
    }


def test_depth_counts_clauses_inside_one_another() -> None:
    main, inner = s("sing", "present", ME), s("see", "past", object=HE)
    with_relative = s("sing", "present", np("woman", relative=who("subject", inner)))
    assert depth(Sentence(main)) == 1
    assert depth(Sentence(main, link="and", second=main)) == 1
    assert depth(Sentence(main, link="because", second=main)) == 2
    assert depth(Sentence(with_relative)) == 2
    assert depth(Sentence(main, link="because", second=with_relative)) == 3
    assert depth(Sentence(s("say", "present", ME, complement=with_relative))) == 3
