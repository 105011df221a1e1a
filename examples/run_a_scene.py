"""Run a scene with a schedule of your own, see what broke, and get the token to hand on."""

from p2plab import find
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.core.token import token_of
from p2plab.rules.damage import damage
from p2plab.views.text import board_of

run = Run(find("defrag-ignorant"), {"pages": 2}).driven(by_text("app nic nic_dma*1 gpu ..."))

for rule in board_of(run).rules:
    print(f"{rule.name:<16} {board_of(run).state(rule)}")
for hit in damage(run.log):
    print(hit)
print(token_of(run).partition("~")[0])
