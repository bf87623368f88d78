using UPool.Core;

namespace UPool.MySql;

/// <content>
/// A server that does not answer. One statement or one open is left pending, which is the probe. A host that died
/// without a word would keep that probe for as long as TCP repeats itself, a quarter of an hour, and every close of
/// every pool with it. So after a long silence a second session is opened beside it, one at most. Whichever is answered
/// first goes on; the other is ended, and confirmed as any session is. Not with a budget, which has no room for a
/// session that was not counted (INV-2): there TCP decides, unless the address has led another session elsewhere.
/// </content>
internal sealed partial class KillLane
{
    // After this a question unanswered is news for the operator; it stays asked.
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    // After this a second session is tried. Longer than a server is frozen by a snapshot or a failover, because then
    // the process has one control connection too many until the server has ended the first.
    private static readonly TimeSpan SilenceTimeout = TimeSpan.FromSeconds(15);

    /// <summary>Whether a turn is still unanswered when a second session, tried after a long silence, is not; or when
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

    /// <summary>Whether a turn has ended within a time; a change of the server shortens that.</summary>
    private async Task<bool> EndsWithinAsync(Task answering, TimeSpan timeout, Task changed)
    {
        await Task.WhenAny(answering, changed).EndsWithinAsync(timeout, _clock).ConfigureAwait(false);
        return answering.IsCompleted
            || (changed.IsCompleted && await answering.EndsWithinAsync(FarewellTime, _clock).ConfigureAwait(false));
    }

    /// <summary>Opens a second session until it or the first is answered; says whether it was the second.</summary>
    private async Task<bool> IsSecondAnsweredFirstAsync(Task answering)
    {
        // Two at most, those counted that are given up and not yet known to be gone.
        while (!answering.IsCompleted && _own.Count == 0 && _surplus is not { IsCompleted: false })
        {
            _second ??= OpenAsync(isReplaced: false);
            await Task.WhenAny(answering, _second).ConfigureAwait(false);
            if (answering.IsCompleted) break;
            if (_second.IsCompletedSuccessfully) return true;

            // The first one stays asked all the while.
            _second = null;
            await answering.EndsWithinAsync(_backoff.Next(), _clock).ConfigureAwait(false);
        }

        // After a failure of the first the second goes on; else it is of no use any more.
        if (!answering.IsCompletedSuccessfully) return false;

        await GiveUpAsync(_second).ConfigureAwait(false);
        _second = null;
        return false;
    }
}
