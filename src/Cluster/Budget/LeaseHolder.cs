namespace UPool.Cluster.Budget;

/// <summary>
/// The silo's side of a lease: it numbers the requests, counts the lease from before a request is sent, and accepts
/// only the answer to its newest request. Pure: the agent passes in its own monotonic time, sends the requests, and
/// sets the terms in the pool. Not thread-safe.
/// </summary>
/// <remarks>
/// <para>The agent's loop: wait until <see cref="NextAskAt"/>; take the pool's figures; <see cref="Ask"/>; send, and
/// send the same request again each <see cref="ResendInterval"/>; pass the answer to <see cref="Accept"/>, set its
/// terms in the pool, then <see cref="MarkApplied"/>. If sending fails: <see cref="MarkFailed"/>.</para>
/// <para>Take the figures after the terms were set: a request that names a grant as applied, with no more than its
/// permits open or opening, is what lets another silo grow (INV-2).</para>
/// </remarks>
internal sealed class LeaseHolder
{
    /// <summary>The part that a holder takes off each lease and grace for drifting clocks: with one clock 1 % slow and
    /// the other 1 % fast, a third of it is left over.</summary>
    public const double ClockDrift = 0.03;

    /// <summary>The longest pause between two requests while the pool waits for permits.</summary>
    public static readonly TimeSpan MaxPauseWhileWaiting = TimeSpan.FromMilliseconds(500);

    // The shortest pause between two requests: a shrink is acknowledged within it, and a pool whose figures change all
    // the time asks at most this often.
    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(50);

    // The pause after a first failure; doubles.
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(100);

    // At this value an answer is waited for half of the lease.
    private const int MaxLateness = 4;

    private readonly string _incarnation;
    private readonly LeaseRole _role;
    private readonly int _weight;
    private readonly Random _random;

    private LeaseTerms _terms;
    private long _sequence;
    private long _applied;
    private TimeSpan _askedAt;
    private TimeSpan _failedAt;
    private double _jitter;
    private int _failures;
    private int _lateness;
    private int _wanted;
    private TimeSpan _wantedAt;
    private bool _isAsking;
    private bool _hasFailed;
    private bool _owesShrink;
    private bool _paidShrink;
    private bool _sawRestart;
    private bool _leaves;
    private bool _asksLeaving;
    private bool _asksEmpty;

    /// <summary>Creates a holder without a lease, which asks at once.</summary>
    public LeaseHolder(
        string incarnation, LeaseRole role, int ceiling, BudgetSettings settings, Random random, int weight = 1)
    {
        _incarnation = incarnation;
        _role = role;
        _weight = weight;
        _random = random;
        Ceiling = ceiling;
        Settings = settings;
    }

    /// <summary>The pool's <c>MaxConnections</c>; may change while running.</summary>
    public int Ceiling { get; set; }

    /// <summary>The configuration of this process; changes while running if the number is <c>auto</c>.</summary>
    public BudgetSettings Settings { get; set; }

    /// <summary>The newest accepted terms.</summary>
    public LeaseTerms Terms => _terms;

    /// <summary>Whether the coordinator has answered that this silo leaves and holds nothing any more.</summary>
    public bool HasLeft { get; private set; }

    /// <summary>How long an answer is waited for before a newer request makes it void. A fifth of the lease, so that
    /// several tries fit into it; longer after every second answer that was late or lost, up to half of the lease, so
    /// that a slow coordinator or storage is heard eventually.</summary>
    public TimeSpan RequestTimeout => Settings.LeaseDuration * Math.Min(0.2 * (1 + _lateness / 2), 0.5);

    /// <summary>How long an answer is waited for before the same request is sent once more: a tenth of the lease, so
    /// that a lease outlives nine losses. Unlike a newer request, a copy makes no late answer void; an answer to any
    /// copy is good, because the lease counts from before the first.</summary>
    public TimeSpan ResendInterval => Settings.LeaseDuration * 0.1;

    /// <summary>The permits at this time: 0 once the lease has ended or the silo leaves.</summary>
    public int PermitsAt(TimeSpan now) => now < _terms.End && !_leaves ? _terms.Permits : 0;

    /// <summary>Makes the next request. Call it before sending, because the lease counts from here. Take the figures
    /// before this call and after the newest terms were set.</summary>
    public LeaseRequest Ask(LeaseFigures figures, TimeSpan now)
    {
        if (_applied != _terms.Grant)
            throw new InvalidOperationException($"bug: grant {_terms.Grant} was accepted and never set in the pool.");

        // The previous request was never answered.
        if (_isAsking && !_hasFailed) MarkFailed(_sequence, now);
        _isAsking = true;
        _hasFailed = false;
        _askedAt = now;
        _jitter = _random.NextDouble();
        int permits = PermitsAt(now);
        _paidShrink = figures.Sessions <= permits;
        if (figures.Wanted >= _wanted || now - _wantedAt >= Settings.RenewInterval / 5 * 2)
            (_wanted, _wantedAt) = (figures.Wanted, now);
        _asksLeaving = _leaves;
        _asksEmpty = figures.Sessions == 0;
        return new LeaseRequest
        {
            Incarnation = _incarnation,
            Role = _role,
            Sequence = ++_sequence,
            AppliedGrant = _applied,
            Permits = permits,
            Remaining = now < _terms.End ? _terms.End - now : TimeSpan.Zero,
            Figures = figures,
            Ceiling = Ceiling,
            Weight = _weight,
            Settings = Settings,
            IsLeaving = _leaves,
            SawRestart = _sawRestart,
        };
    }

    /// <summary>Whether this request was neither answered nor given up.</summary>
    public bool Awaits(LeaseRequest request) => _isAsking && !_hasFailed && request.Sequence == _sequence;

    /// <summary>Takes an answer. Null if it does not answer the newest request, or comes after the end of the lease it
    /// gives; else the terms, to be set in the pool and then marked as applied.</summary>
    public LeaseTerms? Accept(LeaseReply reply, TimeSpan now)
    {
        // An answer to an older request may give permits that a later one took and another silo has by now (INV-2).
        if (reply.RequestSequence != _sequence || !_isAsking) return null;

        if (!reply.IsLease)
        {
            MarkFailed(reply.RequestSequence, now);

            // The coordinator has given up this lease. The silo's own clock should have ended it before.
            if (reply.Status == LeaseStatus.Reclaiming && now < _terms.End) _terms = _terms with { End = now };
            return _terms = _terms with { Status = reply.Status };
        }

        TimeSpan end = _askedAt + reply.Duration * (1 - ClockDrift);
        if (now >= end)
        {
            MarkFailed(reply.RequestSequence, now);
            return null;
        }

        if (now - _askedAt < RequestTimeout / 2) _lateness = Math.Max(0, _lateness - 2);
        _isAsking = false;
        _failures = 0;
        _sawRestart = false;
        HasLeft = _asksLeaving && _asksEmpty;
        if (_paidShrink) _owesShrink = false;
        if (reply.Permits < _terms.Permits) _owesShrink = true;
        return _terms = new LeaseTerms(
            reply.Grant, reply.Permits, end, end + reply.Grace * (1 - ClockDrift), reply.Status);
    }

    /// <summary>The terms are set in the pool: the next request may name them as applied.</summary>
    public void MarkApplied(LeaseTerms terms) => _applied = terms.Grant;

    /// <summary>The request was not answered, or not with a lease: ask again after a pause.</summary>
    public void MarkFailed(long sequence, TimeSpan now)
    {
        if (sequence != _sequence || !_isAsking || _hasFailed) return;

        // A late answer still counts until the next request is made: until then it answers the newest one.
        if (now - _askedAt >= RequestTimeout) _lateness = Math.Min(_lateness + 1, MaxLateness);
        _hasFailed = true;
        _failedAt = now;
        _failures++;
    }

    /// <summary>The time of the next request. It depends on the figures: call again when the pool's change.</summary>
    public TimeSpan NextAskAt(LeaseFigures figures)
    {
        if (_sequence == 0) return TimeSpan.Zero;

        bool waits = !_leaves && figures.Pending > 0 && figures.Used + figures.Pending > _terms.Permits;
        TimeSpan pause = waits && Settings.RenewInterval > MaxPauseWhileWaiting
            ? MaxPauseWhileWaiting
            : Settings.RenewInterval;
        if (_isAsking && !_hasFailed) return _askedAt + RequestTimeout;
        if (_isAsking)
        {
            // Half of the pause is random, so that silos that lost the coordinator together do not return together.
            double doubled = FirstRetry.Ticks * Math.Pow(2, Math.Min(_failures - 1, 16));
            return _failedAt + TimeSpan.FromTicks((long)(Math.Min(doubled, pause.Ticks) * (1 - 0.5 * _jitter)));
        }

        if (_sawRestart) return _askedAt + MinPause;

        // Another silo waits for the permits that this one returns, or may want those that it no longer needs.
        if (_owesShrink || _leaves)
            pause = figures.Sessions <= (_leaves ? 0 : _terms.Permits) ? MinPause : Shorter(pause);
        else if (2 * (figures.Used + figures.Pending) < _wanted) pause = Shorter(pause);
        if (waits) return _askedAt + pause * (1 - 0.5 * _jitter);

        return _askedAt + pause * (1 - 0.1 * _jitter);
    }

    /// <summary>The server restarted: renew at once.</summary>
    public void MarkRestarted() => _sawRestart = true;

    /// <summary>The silo leaves: from now on it holds no permits, and returns those of the connections it closes. The
    /// pool's permits must have been set to 0 before.</summary>
    public void Leave() => _leaves = true;

    private static TimeSpan Shorter(TimeSpan pause) =>
        pause < MaxPauseWhileWaiting ? pause : MaxPauseWhileWaiting;
}
