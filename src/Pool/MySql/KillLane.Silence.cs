using UPool.Core;

namespace UPool.MySql;

/// <content>
/// A server that does not answer. One statement or one open stays pending as the probe. A host that died without
/// closing its connections would keep that probe for as long as TCP retransmits, a quarter of an hour, and every close
/// of every pool with it. So after a long silence the lane opens one second session beside the first. The one that is
/// answered first goes on; the other is ended, and confirmed like any session. Not with a budget, which has no room for
/// an uncounted session (INV-2): there TCP decides, unless the address has led another session to another server.
/// </content>
internal sealed partial class KillLane
{
    // An unanswered question is reported to the operator after this time; it stays open.
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    // A second session is tried after this time. Longer than a snapshot or a failover freezes a server, because the
    // process then has one control connection too many until the server has ended the first.
    private static readonly TimeSpan SilenceTimeout = TimeSpan.FromSeconds(15);

    /// <summary>Whether a round is to be given up: a second session, tried after a long silence, was answered first, or
    /// the address leads to another server.</summary>
    private async Task<bool> IsGivenUpAsync(Task answering, Task changed)
    {
        if (await EndsWithinAsync(answering, AnswerTimeout, changed).ConfigureAwait(false)) return false;
        if (await HasMovedAsync().ConfigureAwait(false)) return true;

        Note($"{_target} has not answered a control connection within {AnswerTimeout.TotalMilliseconds:0} ms.");
        if (_register is not null)
        {
            await Task.WhenAny(answering, changed).ConfigureAwait(false);
            return !answering.IsCompleted && await HasMovedAsync().ConfigureAwait(false);
        }

        TimeSpan rest = SilenceTimeout - AnswerTimeout;
        if (await EndsWithinAsync(answering, rest, changed).ConfigureAwait(false)) return false;
        if (await HasMovedAsync().ConfigureAwait(false)) return true;

        return await IsSecondAnsweredFirstAsync(answering).ConfigureAwait(false);
    }

    /// <summary>Whether a round ends within a time, which a change of the server shortens.</summary>
    private async Task<bool> EndsWithinAsync(Task answering, TimeSpan timeout, Task changed)
    {
        await Task.WhenAny(answering, changed).EndsWithinAsync(timeout, _clock).ConfigureAwait(false);
        return answering.IsCompleted
            || (changed.IsCompleted && await answering.EndsWithinAsync(FarewellTime, _clock).ConfigureAwait(false));
    }

    /// <summary>Opens a second session until it or the first is answered; returns whether the second was.</summary>
    private async Task<bool> IsSecondAnsweredFirstAsync(Task answering)
    {
        // Two at most, including sessions that were given up and are not yet known to be gone.
        while (!answering.IsCompleted && _own.Count == 0 && _surplus is not { IsCompleted: false })
        {
            _second ??= OpenAsync(isReplaced: false);
            await Task.WhenAny(answering, _second).ConfigureAwait(false);
            if (answering.IsCompleted) break;
            if (_second.IsCompletedSuccessfully) return true;

            // The question over the first session stays pending meanwhile.
            _second = null;
            await answering.EndsWithinAsync(_backoff.Next(), _clock).ConfigureAwait(false);
        }

        // If the first session has failed, the second goes on; otherwise it is not needed any more.
        if (!answering.IsCompletedSuccessfully) return false;

        await GiveUpAsync(_second).ConfigureAwait(false);
        _second = null;
        return false;
    }
}
