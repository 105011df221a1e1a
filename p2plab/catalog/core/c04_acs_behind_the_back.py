"""C4: an ACS redirect bit is set on one port while a mapping is in use."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import DMA, PAGES, case
from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.pci import Machine, with_acs, with_cpu

#: The ACS control bits P2P Request and Completion Redirect.
REDIRECT = 0x0C


class BehindTheBack(Bench):
    """An administrator sets the bits with a tool while devices talk; no driver is notified."""

    @job("gpu")
    async def redirect(self) -> None:
        """ACS redirect on, at the port above the NIC."""
        port = self.machine.parent(self.plan.importers_at[0])
        if port is None:
            raise KernelError("ENODEV", "there is no port above the NIC")
        await step(f"sets ACS redirect at {port.bdf}", lambda: self._redirect(port.bdf))

    def _redirect(self, port: str) -> None:
        self.fabric.machine = with_acs(self.fabric.machine, {port: REDIRECT})


class OnZen(BehindTheBack):
    """The same on a machine whose host bridge carries peer-to-peer traffic."""

    def make_machine(self) -> Machine:
        """The recorded machine with another CPU."""
        return with_cpu(super().make_machine(), "zen")


CASE = case(
    "C4",
    "acs-behind-the-back",
    "ACS redirect is set while two devices talk",
    rule="address-works",
    about="""Two devices below one switch talk directly. Somebody sets an ACS redirect bit at one port: the distance stays
    the same and the route now goes up to the host bridge. That bridge is not on the list, and the packets are lost.""",
    sees="An address that was good an instant ago. In 2019 the distance becomes -2, today the pair is NOT_SUPPORTED; "
    "in the twin the CPU is an AMD Zen, the route through the host bridge is allowed, and nothing is lost.",
    broken=Plan(gpu=("redirect",)),
    good=Plan(gpu=("redirect",)),
    story="app nic nic_dma*2 gpu ...",
    bench=BehindTheBack,
    good_bench=OnZen,
    knobs=(PAGES, DMA),
)
