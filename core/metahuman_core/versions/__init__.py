"""What can be done with versions that were made: keep, move, rebuild, compare and check them.

Here stand the facts that all of it rests on (what lies where, who must stay, what can be rebuilt, whether the registry
makes sense) and what takes one file. What takes more has a folder: retention decides and pruning does; rebuilding,
verifying and importing are the commands of their names.
"""
