namespace UPool.Cluster.Budget;

/// <content>One request: whether it counts, who asks, and what it says is held.</content>
internal sealed partial class Ledger
{
    // Far above any pool; a figure beyond it is a defect that must not take everybody's permits.
    private const int MaxFigure = 100_000;

    private const int MaxWeight = 100;

    /// <summary>Takes in what a request says. The entry when it is to be given a lease, else why not.</summary>
    private (LeaseEntry? Entry, LeaseReply Reply) Renew(LeaseRequest request, TimeSpan now)
    {
        if (!IsValid(request)) return Refuse(request, LeaseStatus.Invalid);

        if (_entries.TryGetValue(request.Incarnation, out LeaseEntry? entry))
        {
            // What is not the newest may be the double of one whose answer was acted on since (INV-2).
            if (request.Sequence <= entry.Record.Sequence) return Refuse(request, LeaseStatus.Stale);

            // Its sessions are being looked up and ended: what it opened now would be missed, and then freed.
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
        LearnWishes(entry, request, now);
        SetRecord(entry, Judge(entry.Record, request));
        return (entry, null!);
    }

    /// <summary>
    /// What the incarnation can hold at most, now that it has sent this. Every answer to an older request of its is
    /// void, because a holder lets only the answer to its newest count.
    /// </summary>
    private static LeaseRecord Judge(LeaseRecord record, LeaseRequest request)
    {
        int sessions = request.Figures.Sessions;
        int claimed = Math.Max(request.Permits, sessions);
        record = record with { Sequence = request.Sequence };
        if (request.IsLeaving)
        {
            // Its pool's permits are 0 by its own will: what it closes is free.
            return record with { Permits = 0, Held = sessions, HasLeft = sessions == 0 };
        }

        // More than is recorded: the server lost what was written. What is held is held.
        if (request.AppliedGrant > record.Grant)
        {
            return record with
            {
                Grant = request.AppliedGrant,
                Permits = request.Permits,
                Held = Math.Max(record.Held, claimed),
            };
        }

        // Its lease has lapsed: it starts from nothing. What is recorded may have been given away already, by writes
        // that the server lost.
        if (request.Permits == 0 && record.Permits > 0 && request.Remaining <= TimeSpan.Zero)
        {
            int left = request.AppliedGrant == record.Grant ? sessions : Math.Max(record.Held, sessions);
            return record with { Grant = record.Grant + 1, Permits = 0, Held = left, HasLeft = false };
        }

        // A shrink is acknowledged by whoever names its grant as applied and its permits as set: what is open beyond
        // them can only become less, and what has become less is free (INV-2). A grant's number alone would not do:
        // after lost writes it may have been given twice.
        bool acknowledges = request.AppliedGrant == record.Grant && request.Permits <= record.Permits;
        int held = acknowledges ? Math.Min(record.Held, Math.Max(record.Permits, sessions)) : record.Held;
        return record with { Held = Math.Max(held, claimed), HasLeft = false };
    }

    private void LearnWishes(LeaseEntry entry, LeaseRequest request, TimeSpan now)
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

    /// <summary>Whether one more process of its kind is configured for. One that holds something is there, whatever
    /// was configured.</summary>
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
