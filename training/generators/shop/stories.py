"""What happens to a request, as a sequence of lines to be told: healthy stories, and anomalous ones.

The label belongs to the story, never to a line: for each way to go wrong there is a healthy story with the same lines
in another order, or with one line more. A fault recovers or does not; a call is repeated where that does no harm, or
where it does; two steps change places where they are independent, or where one needs the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from logs.engine import taxonomy
from training.generators.shop.catalog import Fault, Flow, Operation, Phrase, load

Draw = Callable[[int], int]
"""Return a number below the one that is given."""


@dataclass(frozen=True, eq=False, slots=True)
class Line:
    """One line to be told. Equal ones are the same object (`line`), so that a form is looked up by identity.

    `begins` and `ends` name the operation whose time is taken; `slow` multiplies the time before the line.
    """

    service: str
    phrase: Phrase
    kind: str = "say"
    callee: str = ""
    begins: str = ""
    ends: str = ""
    slow: int = 1
    again: bool = False  # counts as one more attempt


class Story(NamedTuple):
    """The lines of a request, what is wrong with it, and the lines (positions) where that began."""

    name: str
    path: str
    lines: tuple[Line, ...]
    services: list[str]  # all who tell a line, in alphabetical order
    type: str = ""
    category: str = ""
    status: int = 200
    root_cause: tuple[int, ...] = ()


line = cache(Line)

STRUCTURAL = {
    "missing_step": "步骤缺失",
    "wrong_order": "流程乱序",
    "late_step": "流程乱序",
    "duplicated_step": "重复执行",
    "silent_failure": "静默失败",
    "latent_slowness": "性能劣化",
    "ignored_refusal": "校验被绕过",
}
"""Types of the anomalies without a fault (`logs.engine.taxonomy`), by story."""


class Teller:
    """Makes stories of one flow; `draw` decides where it goes wrong, and how."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.steps = [self._step(operation) for operation in flow.steps]
        say = load().lines
        self.receive = line("gateway", say["receive"], begins="request")
        self.respond = line("gateway", say["respond"], ends="request")
        self.reject = line("gateway", say["reject"], ends="request")
        self.repeatable = self._positions(lambda operation: operation.repeat)
        self.unrepeatable = self._positions(lambda operation: not operation.repeat)
        self.refusing = self._positions(lambda operation: operation.refusal is not None)
        self.calls = self._positions(lambda operation: not operation.local)

    def _positions(self, fits: Callable[[Operation], bool]) -> list[int]:
        return [position for position, operation in enumerate(self.flow.steps) if fits(operation)]

    def _step(self, operation: Operation) -> tuple[Line, ...]:
        done = line(operation.service, operation.names, "done", ends=operation.name)
        if operation.local:
            return (done,)
        return line(operation.service, operation.names, "start", begins=operation.name), done

    def _caller(self, operation: Operation) -> str:
        return "gateway" if operation.service == self.flow.entry else self.flow.entry

    def _by_caller(self, operation: Operation, name: str, *, slow: int = 1, again: bool = False) -> Line:
        """Return a general line about a call, told by the caller."""
        return line(self._caller(operation), load().lines[name], callee=operation.service, slow=slow, again=again)

    def _strike(self, draw: Draw, operation: Operation, fault: Fault) -> tuple[Line, ...]:
        """The fault shows at the service, and its caller notices; either may stay silent about it."""
        cause = line(operation.service, fault.causes[draw(2)])
        seen = line(self._caller(operation), fault.seen, callee=operation.service)
        return cause, seen

    def _around(self, position: int, middle: Sequence[Line], *, last: bool = False) -> list[Line]:
        """Return the request with step `position` told as `middle`; with `last` nothing comes after it."""
        before = [one for step in self.steps[:position] for one in step]
        after = [] if last else [one for step in self.steps[position + 1 :] for one in step] + [self.respond]
        return [self.receive, *before, *middle, *after]

    def _healthy(self, order: Sequence[int] | None = None) -> list[Line]:
        chosen = range(len(self.steps)) if order is None else order
        return [self.receive, *(one for position in chosen for one in self.steps[position]), self.respond]

    # --- healthy ------------------------------------------------------------------------------------------------

    def plain(self, draw: Draw) -> Story:
        """All went well."""
        return self._story("plain", self._healthy())

    def recovered(self, draw: Draw, fault: Fault) -> Story:
        """A fault, one or two retries, and the call succeeds."""
        position = draw(len(self.steps))
        operation, step = self.flow.steps[position], self.steps[position]
        middle = [*step[:-1], *self._strike(draw, operation, fault)]
        if not draw(3):
            middle.append(line(operation.service, load().lines["abort"]))
        middle += [self._by_caller(operation, "retry", again=True)] * (1 + draw(2))
        middle += [self._by_caller(operation, "recovered"), step[-1]]
        return self._story("recovered", self._around(position, middle))

    def recovered_twice(self, draw: Draw, fault: Fault) -> Story:
        """Two faults in a row, then the call succeeds: the lines of `relapse` in the healthy order."""
        position = draw(len(self.steps))
        operation, step = self.flow.steps[position], self.steps[position]
        retry, recovered = self._by_caller(operation, "retry", again=True), self._by_caller(operation, "recovered")
        middle = [*self._strike(draw, operation, fault), retry, *self._strike(draw, operation, fault), recovered]
        return self._story("recovered_twice", self._around(position, [*step[:-1], *middle, step[-1]]))

    def fallback(self, draw: Draw, fault: Fault) -> Story | None:
        """A call that only reads fails, and something else takes its place."""
        position = _one(self.repeatable, draw)
        if position is None:
            return None
        operation, step = self.flow.steps[position], self.steps[position]
        middle = [*step[:-1], *self._strike(draw, operation, fault), self._by_caller(operation, "fallback")]
        return self._story("fallback", self._around(position, middle))

    def refused(self, draw: Draw) -> Story | None:
        """The shop says no for a good reason."""
        position = _one(self.refusing, draw)
        if position is None:
            return None
        lines = self._around(position, [*self.steps[position][:-1], self._refusal(position)], last=True)
        return self._story("refused", [*lines, self.reject], status=400)

    def slow(self, draw: Draw) -> Story:
        """One call takes long and is fine."""
        position = draw(len(self.steps))
        operation, step = self.flow.steps[position], self.steps[position]
        what = ("slow", "waiting")[draw(2)]
        middle = [*step[:-1], self._by_caller(operation, what, slow=8), step[-1]]
        return self._story("slow", self._around(position, middle))

    def together(self, draw: Draw) -> Story | None:
        """Two independent steps run side by side, or change places."""
        if not self.flow.together:
            return None
        one, other = self.flow.together[draw(len(self.flow.together))]
        if draw(2):
            return self._story("together", self._healthy(_swapped(len(self.steps), one, other)))
        mixed = [*self.steps[one][:-1], *self.steps[other][:-1], self.steps[other][-1], self.steps[one][-1]]
        lines = self._around(one, mixed)
        for told in self.steps[other]:  # its own place is empty now
            lines.reverse()
            lines.remove(told)
            lines.reverse()
        return self._story("together", lines)

    def repeated(self, draw: Draw) -> Story | None:
        """A call that only reads is made twice."""
        position = _one(self.repeatable, draw)
        if position is None:
            return None
        return self._story("repeated", self._around(position, [*self.steps[position], *self.steps[position]]))

    # --- anomalous ----------------------------------------------------------------------------------------------

    def cascade(self, draw: Draw, fault: Fault) -> Story:
        """A fault takes its callers along, up to the gateway."""
        position = draw(len(self.steps))
        operation = self.flow.steps[position]
        middle = [*self.steps[position][:-1], *self._strike(draw, operation, fault)]
        if operation.service != self.flow.entry:
            middle.append(line("gateway", fault.seen, callee=self.flow.entry))
        if draw(2):
            middle.append(line(self.flow.entry, load().lines["abort"]))
        return self._faulty("cascade", [*self._around(position, middle, last=True), self.reject], fault)

    def no_recovery(self, draw: Draw, fault: Fault) -> Story:
        """Retries, and then the log just ends, or the request is given up."""
        position = draw(len(self.steps))
        operation = self.flow.steps[position]
        middle = [*self.steps[position][:-1], *self._strike(draw, operation, fault)]
        middle += [self._by_caller(operation, "retry", again=True)] * (1 + draw(2))
        ending = [[], [self.reject], [line(operation.service, load().lines["abort"]), self.reject]][draw(3)]
        return self._faulty("no_recovery", [*self._around(position, middle, last=True), *ending], fault)

    def retry_storm(self, draw: Draw, fault: Fault) -> Story:
        """The caller retries again and again into a fault that stays."""
        position = draw(len(self.steps))
        operation, retry = self.flow.steps[position], self._by_caller(self.flow.steps[position], "retry", again=True)
        strike = self._strike(draw, operation, fault)
        middle = [*self.steps[position][:-1], *strike, retry, retry, strike[0], retry, *[retry] * draw(2)]
        return self._faulty("retry_storm", self._around(position, middle, last=True), fault)

    def relapse(self, draw: Draw, fault: Fault) -> Story:
        """Recovered, it fails again, and nobody notices: the request goes on."""
        position = draw(len(self.steps))
        operation, step = self.flow.steps[position], self.steps[position]
        retry, recovered = self._by_caller(operation, "retry", again=True), self._by_caller(operation, "recovered")
        middle = [
            *step[:-1],
            *self._strike(draw, operation, fault),
            retry,
            recovered,
            *self._strike(draw, operation, fault),
        ]
        return self._faulty("relapse", self._around(position, [*middle, step[-1]] if draw(2) else middle), fault)

    def swallowed(self, draw: Draw, fault: Fault) -> Story:
        """The caller sees the fault and goes on as if nothing had happened."""
        position = draw(len(self.steps))
        operation = self.flow.steps[position]
        middle = [*self.steps[position][:-1], *self._strike(draw, operation, fault)]
        return self._faulty("swallowed", self._around(position, middle), fault)

    def ignored_refusal(self, draw: Draw) -> Story | None:
        """The shop says no, and does it all the same."""
        position = _one(self.refusing, draw)
        if position is None or position == len(self.steps) - 1:
            return None
        lines = self._around(position, [*self.steps[position][:-1], refusal := self._refusal(position)])
        return self._structural("ignored_refusal", lines, [lines.index(refusal), lines.index(refusal) + 1])

    def missing_step(self, draw: Draw) -> Story:
        """A step that a later one needs is not there."""
        earlier, later = self.flow.after[draw(len(self.flow.after))]
        lines = self._healthy([position for position in range(len(self.steps)) if position != earlier])
        return self._structural("missing_step", lines, [lines.index(self.steps[later][0])])

    def wrong_order(self, draw: Draw) -> Story:
        """A step comes before the one that it needs."""
        earlier, later = self.flow.after[draw(len(self.flow.after))]
        lines = self._healthy(_swapped(len(self.steps), earlier, later))
        return self._structural("wrong_order", lines, [lines.index(told) for told in self.steps[later]])

    def late_step(self, draw: Draw) -> Story:
        """The answer goes out before the work is done."""
        lines = self._healthy()
        step = self.steps[-1]
        lines[-2], lines[-1] = lines[-1], step[-1]
        return self._structural("late_step", lines, [len(lines) - 2, len(lines) - 1])

    def duplicated_step(self, draw: Draw) -> Story | None:
        """What may be done only once is done twice."""
        position = _one(self.unrepeatable, draw)
        if position is None:
            return None
        step = self.steps[position]
        lines = self._around(position, [*step, *step])
        second = lines.index(step[0]) + len(step)
        return self._structural("duplicated_step", lines, list(range(second, second + len(step))))

    def silent_failure(self, draw: Draw) -> Story | None:
        """A call begins and never ends, without a word."""
        position = _one(self.calls, draw)
        if position is None:
            return None
        lines = self._around(position, self.steps[position][:-1])
        return self._structural("silent_failure", lines, [lines.index(self.steps[position][0])])

    def latent_slowness(self, draw: Draw) -> Story:
        """Calls take far too long, and no line complains."""
        position = draw(len(self.steps))
        operation, step = self.flow.steps[position], self.steps[position]
        waiting = self._by_caller(operation, "waiting", slow=25)
        lines = self._around(position, [*step[:-1], *[waiting] * (2 + draw(2)), step[-1]])
        return self._structural("latent_slowness", lines, [lines.index(waiting)])

    # --- helpers ------------------------------------------------------------------------------------------------

    def _refusal(self, position: int) -> Line:
        operation = self.flow.steps[position]
        return line(operation.service, operation.refusal or operation.names)

    def _faulty(self, name: str, lines: Sequence[Line], fault: Fault) -> Story:
        roots = [number for number, told in enumerate(lines) if told.phrase in fault.causes]
        return self._story(name, lines, fault.type, fault.status, roots)

    def _structural(self, name: str, lines: Sequence[Line], roots: Sequence[int]) -> Story:
        return self._story(name, lines, STRUCTURAL[name], 200, roots)

    def _story(
        self, name: str, lines: Sequence[Line], type_: str = "", status: int = 200, roots: Sequence[int] = ()
    ) -> Story:
        category = taxonomy.types()[type_].category if type_ else ""
        services = sorted({told.service for told in lines})
        return Story(name, self.flow.path, tuple(lines), services, type_, category, status, tuple(roots))


def _one(positions: Sequence[int], draw: Draw) -> int | None:
    """Return one of the positions, if there are any."""
    return positions[draw(len(positions))] if positions else None


def _swapped(count: int, one: int, other: int) -> list[int]:
    """Return the order in which `other` comes right before `one`."""
    order = [position for position in range(count) if position != other]
    order.insert(order.index(one), other)
    return order
