"""Text out of Debian packages, in the Pile's form; run by ../make_corpus.py."""
