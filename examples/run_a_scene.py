"""Run a scene with your own schedule, see what broke, and get the token to pass on."""

import p2plab
from p2plab.rules.damage import damage

run = p2plab.run("defrag-ignorant", pages=2, schedule="app nic nic_dma*1 gpu ...")

for rule in run.board.rules:
    print(f"{rule.name:<16} {run.board.state(rule)}")
for hit in damage(run.log):
    print(hit)
print(run.token.partition("~")[0])
