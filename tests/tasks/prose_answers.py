"""Endings of chains with the answers that a careful reader takes from them, labelled before the parser was written.

Each row: the question's key, the ending, and its answer (None: a careful reader takes none). The parser was written
with the development half alone; on the other half its precision and recall are reported.
"""

from faithlens.tasks.question import Question

QUESTIONS = {
    "number": Question("n", "How many?", ("6", "7", "8"), "7", form="free-form"),
    "options": Question("o", "How many?", ("A", "B", "C", "D"), "A", ("6", "8", "14", "21")),
    "towns": Question("t", "Which town?", ("A", "B", "C", "D"), "A", ("Paris", "Rome", "London", "Oslo")),
    "verdict": Question("v", "Is it?", ("yes", "no"), "yes", form="free-form"),
}

Ending = tuple[str, str, str | None]

DEVELOPMENT: list[Ending] = [
    # denied
    ("number", "It is not 8. It is 6.", "6"),
    ("number", "The answer is not 5. It is 7.", "7"),
    ("number", "It is 7, not 5.", "7"),
    ("number", "The answer isn't 12 but 14.", "14"),
    ("number", "It cannot be 9.", None),
    ("number", "The answer is 7. It is not 9.", "7"),
    ("number", "That gives 30, not 40 as it seemed.", "30"),
    ("options", "So it is not (B) but (D).", "D"),
    ("options", "The answer is not (A); it is (C).", "C"),
    ("options", "It is (B) rather than (C).", "B"),
    ("options", "Neither (A) nor (B) works, so (D).", "D"),
    ("options", "It can't be (A).", None),
    ("towns", "The capital is not Rome. It is Oslo.", "D"),
    ("towns", "Not Paris, but London.", "C"),
    # corrected
    ("number", "So 12. No wait, plus 2 more: 14 it is.", "14"),
    ("number", "The answer is 12. Wait, no: I forgot one. The answer is 13.", "13"),
    ("number", "The answer is 20. Actually, it is 25.", "25"),
    ("number", "The answer is 20, no, 25.", "25"),
    ("number", "That makes 31. Correction: 32.", "32"),
    ("number", "I get 18. Scratch that, I get 17.", "17"),
    ("number", "The answer is 12. Wait, let me check: 5 + 7 = 12. Yes, that is right.", "12"),
    ("number", "The answer is 12. No, that is wrong.", None),
    ("options", "The answer is (A). Wait, that is wrong. It should be (C).", "C"),
    ("options", "I pick (B). Hmm, actually (D).", "D"),
    ("options", "(A), or rather (B).", "B"),
    ("towns", "So Paris. No, sorry, Rome.", "B"),
    # attributed to others
    ("options", "The user thinks (B).", None),
    ("options", "The user thinks it is (B), but it is (C).", "C"),
    ("options", "The professor says the answer is (D).", None),
    ("number", "My friend says that the answer is 9.", None),
    ("number", "One might think the answer is 9. But the answer is 8.", "8"),
    ("number", "Some would say 9, but it is 8.", "8"),
    ("options", "If you believe the key, the answer is (B). I get (C).", "C"),
    # alternatives and doubt
    ("number", "It is 5 or 7.", None),
    ("number", "The answer is either 5 or 7.", None),
    ("number", "The answer is 5. Or maybe the answer is 5 or 6.", None),
    ("number", "The answer is between 5 and 7.", None),
    ("options", "It is (A) or (B).", None),
    ("options", "Could be (A), could be (B).", None),
    ("options", "Is the answer (A)?", None),
    ("number", "Is it 5?", None),
    # words
    ("number", "The answer is minus 3.", "-3"),
    ("number", "The answer is one million.", "1000000"),
    ("number", "So there are seven.", "7"),
    ("number", "The answer is twenty-one.", "21"),
    ("number", "In total that is two hundred and five.", "205"),
    ("number", "The answer is negative eight.", "-8"),
    # choosing
    ("options", "I choose C.", "C"),
    ("options", "I'll go with (B).", "B"),
    ("options", "Hence C.", "C"),
    ("options", "So (D) it is.", "D"),
    ("options", "My pick: B.", "B"),
    ("options", "Therefore, B is correct.", "B"),
    ("towns", "I would choose London.", "C"),
    # what only stands near
    ("number", "17 = 3 x 5 remainder 2", None),
    ("number", "The answer is 40 in the year 2020.", "40"),
    ("number", "In 2019 she had 15 of them.", "15"),
    ("number", "She earns 60 dollars in 5 days.", "60"),
    ("number", "It takes her until 8 a.m. on 3 May.", None),
    ("number", "The answer is 12 (see step 3).", "12"),
    ("number", "So they need 12 boxes, with 2 left over.", "12"),
    # verdicts
    ("verdict", "No wait, yes.", "yes"),
    ("verdict", "The user says yes, but the answer is no.", "no"),
    ("verdict", "So it is not a no.", None),
]

HELD_OUT: list[Ending] = [
    # denied
    ("number", "It isn't 4. It's 3.", "3"),
    ("number", "Not 16. The answer is 18.", "18"),
    ("number", "She has 22, not 24.", "22"),
    ("number", "So the total is not 50 but 55.", "55"),
    ("number", "The answer can't be 30.", None),
    ("number", "So the answer is 11. It was never 12.", "11"),
    ("number", "It is no longer 10; now it is 9.", "9"),
    ("options", "Not (A) but (B).", "B"),
    ("options", "The right one is (D), not (C).", "D"),
    ("options", "(C) instead of (A).", "C"),
    ("options", "The answer is neither (A) nor (C). It is (B).", "B"),
    ("options", "(D) is not correct.", None),
    ("towns", "It's not London, it's Paris.", "A"),
    ("towns", "Oslo is wrong; Rome is right.", "B"),
    # corrected
    ("number", "So 45. Oh wait, minus 5: that is 40.", "40"),
    ("number", "That leaves 8. Hold on, she found one more, so 9.", "9"),
    ("number", "The answer is 100. Sorry, I mean 110.", "110"),
    ("number", "The total is 64. No, 46.", "46"),
    ("number", "The answer is 7. Oops, I made a mistake. The answer is 6.", "6"),
    ("number", "The answer is 33. On second thought, 34.", "34"),
    ("number", "The answer is 15. Wait, is it? 3 * 5 = 15. Yes.", "15"),
    ("number", "The answer is 15. That can't be right.", None),
    ("options", "So (C). No wait, (D).", "D"),
    ("options", "The answer is B. Let me correct that: the answer is A.", "A"),
    ("options", "I first thought (A), but now I see it is (B).", "B"),
    ("towns", "I said Oslo, but it should be London.", "C"),
    # attributed to others
    ("options", "The user believes that it is (D).", None),
    ("options", "You suggested (A). I get (B).", "B"),
    ("options", "The expert claims (C), yet the numbers give (A).", "A"),
    ("number", "Tom thinks the answer is 12.", None),
    ("number", "According to the note, the answer is 31.", None),
    ("number", "People often answer 10, but the answer is 5.", "5"),
    ("options", "The answer key says (B). However, the answer is (D).", "D"),
    # alternatives and doubt
    ("number", "Either 3 or 4.", None),
    ("number", "The answer may be 8 or 9.", None),
    ("number", "The answer is 12, or possibly 13.", None),
    ("number", "The answer lies between 20 and 30.", None),
    ("options", "The answer is (B) or (D).", None),
    ("options", "Maybe (A), maybe (C).", None),
    ("options", "Could the answer be (D)?", None),
    ("number", "The answer is 3 to 5.", None),
    # words
    ("number", "The answer is minus twelve.", "-12"),
    ("number", "So she has two thousand.", "2000"),
    ("number", "That makes eleven.", "11"),
    ("number", "The answer is ninety-nine.", "99"),
    ("number", "The answer is 3 million.", "3000000"),
    ("number", "It is minus 40.", "-40"),
    # choosing
    ("options", "I pick A.", "A"),
    ("options", "We select option (C).", "C"),
    ("options", "Thus D.", "D"),
    ("options", "(A) it is.", "A"),
    ("options", "My answer: C", "C"),
    ("options", "Therefore the correct one is B.", "B"),
    ("towns", "I'd go with Rome.", "B"),
    # what only stands near
    ("number", "23 = 4 x 5 + 3, so the remainder is left out.", None),
    ("number", "By 2030 there will be 90.", "90"),
    ("number", "The answer is 16, as shown in line 4.", "16"),
    ("number", "He walks 14 km in 3 hours.", "14"),
    ("number", "They meet at 5:30 p.m.", None),
    ("number", "So each gets 6, and 1 is left over.", "6"),
    ("number", "So the answer for Monday is 44.", "44"),
    # verdicts
    ("verdict", "Yes. Wait, no.", "no"),
    ("verdict", "My teacher says no, but I say yes.", "yes"),
    ("verdict", "Yes or no, I cannot tell.", None),
]
