"""Allocation as Python programs do it: objects, dictionaries, strings, lists, JSON."""
import json
import sys


class Account:
    def __init__(self, number):
        self.number = number
        self.name = "customer-%d" % number
        self.history = []

    def book(self, amount, text):
        self.history.append({"amount": amount, "text": text + self.name})


def main(accounts, rounds):
    total = 0
    for turn in range(rounds):
        book = {number: Account(number) for number in range(accounts)}
        for number, account in book.items():
            for entry in range(number % 7):
                account.book(entry * turn, "transfer to ")
        text = json.dumps([account.history for account in book.values()])
        total += len(text) + sum(len(part) for part in json.loads(text))
        words = text.replace('"', " ").split()
        counts = {}
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        total += len(sorted(counts, key=counts.get))
    print(total)


main(int(sys.argv[1]), int(sys.argv[2]))
