namespace UPool.MySql;

/// <content>
/// Rights that were given while the lane runs: a session keeps those that it began with, so another one looks for them.
/// The process has two control connections at most, so the former session is gone before the new one is opened. The
/// lane has no other session to ask that over, and rents the storage's for it.
/// </content>
internal sealed partial class KillLane
{
    /// <summary>The process's other control connection; null when there is none.</summary>
    public PooledDataSource? Storage { get; set; }

    /// <summary>
    /// A session that this account may not end stays asked about, and holds up nobody else. Rights that were given
    /// meanwhile are looked for on another session from time to time.
    /// </summary>
    private async Task LookForRightsAsync()
    {
        if (_session is not { IsCompletedSuccessfully: true }) return;

        ControlSession session = await _session.ConfigureAwait(false);
        string? denial = session.Denial is { } denied ? MySqlErrors.Explain(denied, _target) : null;
        session.Denial = null;
        if (denial is not null && denial != _denial) LogCannotAsk(denial);
        _denial = denial;
        if (denial is null || _clock.GetElapsedTime(_openedAt) < MaxRetryInterval) return;

        // Not waited for: a kill never waits behind a storage write. What was denied is asked again within moments, and
        // the storage's session may be free then.
        PooledConnection? witness = null;
        if (Storage?.TryRent(out witness, Deadline.After(StopTimeout, _clock)) == false) return;

        using (witness)
        {
            await GiveUpAsync(_session).ConfigureAwait(false);
            _session = null;
            if (witness is not null && session.Session is { } former)
                await SeeGoneAsync(witness, former).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until the server has dropped a session of the lane, by what it answers another one.</summary>
    private async Task SeeGoneAsync(PooledConnection witness, ServerSession former)
    {
        try
        {
            var physical = (MySqlPhysicalConnection)witness.Physical;
            if (former.Server.IsOther(physical.Session.Server)) return;

            while (await IsThereAsync(witness, physical.Family, former).ConfigureAwait(false))
                await Task.Delay(MinPollInterval, _clock, _stop.Token).ConfigureAwait(false);
        }
        catch (Exception) when (!_stop.IsCancellationRequested)
        {
            // The server does not answer the storage: it is closed all the same, and asked about by the next session.
        }
    }

    private static async Task<bool> IsThereAsync(
        PooledConnection witness, DatabaseFamily family, ServerSession former)
    {
        Dictionary<long, string> hosts =
            await SessionEnd.FindHostsAsync(witness, family, [former]).ConfigureAwait(false);
        return await SessionEnd.KillAsync(witness, family, former, wholeSession: true, hosts).ConfigureAwait(false);
    }
}
