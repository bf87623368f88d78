namespace UPool.Cluster.Budget;

/// <content>Judges one request: whether it counts, which incarnation sent it, and what that holds.</content>
internal sealed partial class Ledger
{
    // Far above any pool: a larger figure is a bug, which must not take all permits.
    private const int MaxFigure = 100_000;

    private const int MaxWeight = 100;

    /// <summary>Applies a request. Returns the entry if it is to be given a lease, else the refusal.</summary>
    private (LeaseEntry? Entry, LeaseReply Reply) Renew(LeaseRequest request, TimeSpan now)
    {
        if (!IsValid(request)) return Refuse(request, LeaseStatus.Invalid);

        if (_entries.TryGetValue(request.Incarnation, out LeaseEntry? entry))
        {
            // A request that is not newer may be a copy of one whose answer was acted on since (INV-2).
            if (request.Sequence <= entry.Record.Sequence) return Refuse(request, LeaseStatus.Stale);

            // Its sessions are being looked up and ended: one opened now would be missed, and its permit freed.
            if (entry.IsReclaiming) return Refuse(request, LeaseStatus.Reclaiming);
        }
        else
        {
            if (!HasRoomFor(request)) return Refuse(request, LeaseStatus.TooMany);

            entry = Add(new LeaseRecord { Incarnation = request.Incarnation, Role = request.Role });
        }

        entry.IsRenewing = true;
        entry.RenewedAt = now;
        entry.Seen = 0;
        entry.IsLeaving = request.IsLeaving;
        entry.Figures = request.Figures;
        UpdateDemand(entry, request, now);
        SetRecord(entry, Judge(entry.Record, request));
        return (entry, null!);
    }

    /// <summary>
    /// The most that the incarnation can hold, given this request. All answers to its older requests are void, because
    /// a holder accepts only the answer to its newest.
    /// </summary>
    private static LeaseRecord Judge(LeaseRecord record, LeaseRequest request)
    {
        int sessions = request.Figures.Sessions;
        int claimed = Math.Max(request.Permits, sessions);
        record = record with { Sequence = request.Sequence };
        if (request.IsLeaving)
        {
            // The silo has set its pool's permits to 0: the permits of closed connections are free.
            return record with { Permits = 0, Held = sessions, HasLeft = sessions == 0 };
        }

        // The server lost the write of this grant, but its permits are held.
        if (request.AppliedGrant > record.Grant)
        {
            return record with
            {
                Grant = request.AppliedGrant,
                Permits = request.Permits,
                Held = Math.Max(record.Held, claimed),
            };
        }

        // Its lease has lapsed: it starts from nothing. The recorded permits may already be granted to others, by
        // writes that the server lost.
        if (request.Permits == 0 && record.Permits > 0 && request.Remaining <= TimeSpan.Zero)
        {
            int left = request.AppliedGrant == record.Grant ? sessions : Math.Max(record.Held, sessions);
            return record with { Grant = record.Grant + 1, Permits = 0, Held = left, HasLeft = false };
        }

        // A request that names a shrink's grant as applied and its permits as set acknowledges the shrink: the sessions
        // beyond the permits can only become fewer, and the permit of each that is gone is free (INV-2). The number of
        // the grant alone is not enough: after lost writes it may have been given twice.
        bool acknowledges = request.AppliedGrant == record.Grant && request.Permits <= record.Permits;
        int held = acknowledges ? Math.Min(record.Held, Math.Max(record.Permits, sessions)) : record.Held;
        return record with { Held = Math.Max(held, claimed), HasLeft = false };
    }

    private void UpdateDemand(LeaseEntry entry, LeaseRequest request, TimeSpan now)
    {
        int used = request.Figures.Used;
        bool isOver = request.Permits > 0 && request.AppliedGrant == entry.Record.Grant && used > entry.Record.Permits;
        int stuck = isOver && !request.IsLeaving ? used : 0;
        bool wants = entry.Believe(request.Figures.Wanted, now, _settings.RenewInterval);
        if (!wants && stuck == entry.Stuck && entry.Ceiling == request.Ceiling && entry.Weight == request.Weight
            && entry.Settings == request.Settings)
        {
            return;
        }

        entry.Stuck = stuck;
        entry.Ceiling = request.Ceiling;
        entry.Weight = request.Weight;
        entry.Settings = request.Settings;
        _isUneven = true;
    }

    /// <summary>Whether the configuration allows one more process of its kind. A process that already holds something
    /// is admitted whatever the configuration.</summary>
    private bool HasRoomFor(LeaseRequest request)
    {
        if (request.Permits > 0 || request.Figures.Sessions > 0) return _entries.Count < LedgerState.MaxRecords;

        int most = request.Role == LeaseRole.Silo
            ? Math.Min(_settings.MaxSilos, request.Settings.MaxSilos)
            : Math.Min(_settings.MaxClients, request.Settings.MaxClients);
        return CountOf(request.Role) < most && _entries.Count < LedgerState.MaxRecords;
    }

    private static bool IsValid(LeaseRequest request)
    {
        LeaseFigures figures = request.Figures;
        return request.Incarnation is { Length: > 0 and <= LeaseRequest.MaxIncarnationLength }
            && request.Sequence > 0 && request.AppliedGrant >= 0
            && request.Weight is > 0 and <= MaxWeight
            && IsFigure(request.Permits) && IsFigure(request.Ceiling)
            && IsFigure(figures.Opening) && IsFigure(figures.Idle) && IsFigure(figures.Used)
            && IsFigure(figures.Closing) && figures.Pending >= 0 && figures.Peak >= 0
            && (request.Role == LeaseRole.Silo || (request.Permits == 0 && figures.Sessions == 0));
    }

    private static bool IsFigure(int figure) => figure is >= 0 and <= MaxFigure;

    private (LeaseEntry?, LeaseReply) Refuse(LeaseRequest request, LeaseStatus status) => (null, new LeaseReply
    {
        RequestSequence = request.Sequence,
        Status = status,
        ServerConnections = _settings.ServerConnections,
        IsMismatched = _isMismatched,
    });
}
