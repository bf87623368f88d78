namespace UPool.MySql;

/// <content>
/// Rights granted while the lane runs. A session keeps the rights that it started with, so only a new session has them.
/// The process has two control connections at most, so the lane closes its session before it opens the new one.
/// Meanwhile it has no session to confirm the close over, and rents the storage's.
/// </content>
internal sealed partial class KillLane
{
    /// <summary>The process's other control connection; null if there is none.</summary>
    public PooledDataSource? Storage { get; set; }

    /// <summary>
    /// The question about a session that this account may not end stays open and delays no other. Rights granted
    /// meanwhile are looked for on a new session, once in <see cref="MaxRetryInterval"/> at most.
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

        // Do not wait for the storage: a kill never waits behind a storage write. The denied question is asked again
        // within moments, when the storage's session may be free.
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

    /// <summary>Waits until the server has dropped a session of the lane, by asking over the storage's
    /// session.</summary>
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
            // The server does not answer the storage. The session is closed all the same; the next one asks about it.
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
