namespace UPool.Sharing;

/// <summary>
/// Those who wait for one question, or look up in one place. At most two askings are under way at a time; whoever comes
/// joins the one whose statement has not been sent yet. Look-ups over a long way may have more under way.
/// </summary>
/// <param name="asked">What is asked.</param>
/// <param name="onIdle">Called once, when nobody waits any more; nobody can join from then on. Null for look-ups, whose
/// line stays.</param>
internal sealed class AskingLine<TKey, TAnswer>(
    IAsked<TKey, TAnswer> asked, Action<AskingLine<TKey, TAnswer>>? onIdle)
    where TKey : notnull, IEquatable<TKey>
{
    // Two, so that one that is slow does not keep everybody waiting; no more, so that a question which has become slow
    // does not take all connections of the pool.
    private const int MaxUnderWay = 2;

    // Look-ups that are far from their database: as many as a small pool has connections for, since all that a
    // statement costs there is time, and each of these asks for other rows.
    private const int MaxFarUnderWay = 8;

    // More would be served late in any case, and each costs memory: ten times what a silo lets in over HTTP.
    private const int MaxCallers = 10_000;

    // What "too long" is for an asking under way: a tick of the wheel, far more than a short read takes.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(10);

    // No statement has been answered faster than this of late: it is the way that takes the time. On one machine, or in
    // one rack, a look-up takes less, and under load a few still do.
    private static readonly TimeSpan Far = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();

    // All below is guarded by _gate.
    // Of look-ups only: lines of questions come and go with them, and have no use for it.
    private readonly ShortestOfLate? _shortest = onIdle is null ? new ShortestOfLate() : null;
    private Asking<TKey, TAnswer>? _open;   // to be joined: not begun, or its statement not sent
    private int _underWay;
    private int _expected;                  // how many of those just answered have not come back
    private bool _isRetired;

    public IAsked<TKey, TAnswer> Asked => asked;

    /// <summary>Joins a line that stays.</summary>
    public ValueTask<TAnswer> JoinAsync(TKey key, Deadline deadline, CancellationToken token) =>
        TryJoin(key, deadline, token, out ValueTask<TAnswer> answer)
            ? answer
            : throw new InvalidOperationException("bug: a line that stays was taken down.");

    /// <summary>Joins; false when the line has been taken down.</summary>
    public bool TryJoin(
        TKey key, Deadline deadline, CancellationToken token, out ValueTask<TAnswer> answer)
    {
        AskingCaller<TKey, TAnswer> caller;
        Asking<TKey, TAnswer>? begun;
        bool isFar;
        lock (_gate)
        {
            isFar = IsFar_NeedsLock();
            if (_isRetired)
            {
                answer = default;
                return false;
            }

            if (_open is { Callers.Count: >= MaxCallers })
            {
                answer = new ValueTask<TAnswer>(asked.Refused(RefusalReason.QueueFull));
                return true;
            }

            Asking<TKey, TAnswer> asking = _open ??= new Asking<TKey, TAnswer>(this);
            caller = new AskingCaller<TKey, TAnswer>(asking, key, deadline);
            asking.Callers.Add(caller);
            asking.Waiting++;
            if (!deadline.IsNone) asking.GiveUps.By_NeedsLock(deadline.Timestamp);
            if (_expected > 0) _expected--;
            begun = BeginNext_NeedsLock();
            if (!asking.HasBegun && asking.Callers.Count == 1)
                asked.Wheel.Add(asking, Deadline.After(Patience, asked.Clock).Timestamp);
        }

        // Over a long way nobody is waited for, not even those who are in the thread pool already.
        if (isFar) begun?.Run();
        else begun?.Queue();
        caller.ListenTo(token);
        answer = caller.Task;
        return true;
    }

    /// <summary>The statement of an asking is about to be sent: from now on nobody joins it.</summary>
    /// <param name="asking">The asking.</param>
    /// <param name="deadline">The latest of those who wait.</param>
    /// <returns>What they ask for; nothing when all have left.</returns>
    public AnswerSet<TKey, TAnswer> Close(Asking<TKey, TAnswer> asking, out Deadline deadline)
    {
        var keys = new HashSet<TKey>();
        deadline = default;
        bool isFirst = true;
        lock (_gate)
        {
            if (ReferenceEquals(_open, asking)) _open = null;
            asking.IsSent = true;
            asking.SentAt = asked.Clock.GetTimestamp();
            foreach (AskingCaller<TKey, TAnswer> caller in asking.Callers)
            {
                if (caller.HasEnded) continue;

                keys.Add(caller.Key);
                deadline = isFirst ? caller.Deadline : Deadline.Later(deadline, caller.Deadline);
                isFirst = false;
            }
        }

        return new AnswerSet<TKey, TAnswer>([.. keys]);
    }

    /// <summary>An asking has ended.</summary>
    /// <returns>Those who are to be answered now, by whoever calls.</returns>
    public List<AskingCaller<TKey, TAnswer>> End(Asking<TKey, TAnswer> asking)
    {
        var answered = new List<AskingCaller<TKey, TAnswer>>(asking.Waiting);
        Asking<TKey, TAnswer>? begun;
        bool isIdle;
        lock (_gate)
        {
            if (ReferenceEquals(_open, asking)) _open = null;
            foreach (AskingCaller<TKey, TAnswer> caller in asking.Callers)
            {
                if (caller.HasEnded) continue;

                caller.HasEnded = true;
                answered.Add(caller);
            }

            asking.Waiting = 0;
            asking.GiveUps.Stop_NeedsLock();
            if (asking.IsSent) _shortest?.Add(asked.Clock.GetTimestamp() - asking.SentAt);
            _underWay--;
            _expected = answered.Count;
            begun = BeginNext_NeedsLock();
            isIdle = _underWay == 0 && _open is null;
            _isRetired = isIdle && onIdle is not null;
        }

        if (isIdle) onIdle?.Invoke(this);
        begun?.Queue();
        return answered;
    }

    /// <summary>The patience of an asking with what is under way is over.</summary>
    public void Hurry(Asking<TKey, TAnswer> asking)
    {
        Asking<TKey, TAnswer>? begun;
        lock (_gate)
        {
            asking.IsOverdue = true;
            begun = BeginNext_NeedsLock();
        }

        begun?.Queue();
    }

    /// <summary>A caller leaves before he was answered; false when he has been answered.</summary>
    /// <param name="caller">The caller.</param>
    /// <param name="isSent">Whether the statement was sent.</param>
    public bool TryLeave(AskingCaller<TKey, TAnswer> caller, out bool isSent)
    {
        Asking<TKey, TAnswer> asking = caller.Asking;
        bool isLast;
        lock (_gate)
        {
            isSent = asking.IsSent;
            if (caller.HasEnded) return false;

            caller.HasEnded = true;
            asking.Waiting--;
            isLast = IsLeft_NeedsLock(asking);
        }

        if (isLast) asking.Abandon();
        return true;
    }

    /// <summary>Lets those leave whose deadline has passed.</summary>
    /// <param name="asking">The asking.</param>
    /// <param name="now">A timestamp of the pool's clock.</param>
    /// <param name="isSent">Whether the statement was sent.</param>
    /// <returns>Those who have to be told, by whoever calls.</returns>
    public List<AskingCaller<TKey, TAnswer>> LeaveLate(Asking<TKey, TAnswer> asking, long now, out bool isSent)
    {
        List<AskingCaller<TKey, TAnswer>> late = [];
        bool isLast = false;
        lock (_gate)
        {
            isSent = asking.IsSent;
            asking.GiveUps.Stop_NeedsLock();
            foreach (AskingCaller<TKey, TAnswer> caller in asking.Callers)
            {
                if (caller.HasEnded || caller.Deadline.IsNone) continue;

                if (caller.GivesUpAt(isSent) is var at && at > now)
                {
                    asking.GiveUps.By_NeedsLock(at);
                    continue;
                }

                caller.HasEnded = true;
                asking.Waiting--;
                late.Add(caller);
            }

            isLast = late.Count > 0 && IsLeft_NeedsLock(asking);
        }

        if (isLast) asking.Abandon();
        return late;
    }

    /// <summary>Whether all have left an asking, which then ends; nobody may join it any more: he would be cut off with
    /// it.</summary>
    private bool IsLeft_NeedsLock(Asking<TKey, TAnswer> asking)
    {
        if (asking.Waiting > 0) return false;

        if (ReferenceEquals(_open, asking)) _open = null;
        asking.GiveUps.Stop_NeedsLock();
        return true;
    }

    /// <summary>
    /// Begins the next asking when it is time. Nothing under way: at once. One under way: when everybody has come back
    /// who was answered a moment ago, or its patience is over.
    /// </summary>
    /// <remarks>
    /// Those who were answered tend to ask again. An asking that begins just before they do leaves them out for a whole
    /// asking: with two under way that costs a third of what they could do. While another asking is under way, waiting
    /// for them costs little. Over a long way it costs more than the statements that it saves: there look-ups begin at
    /// once.
    /// </remarks>
    private Asking<TKey, TAnswer>? BeginNext_NeedsLock()
    {
        if (_open is not { HasBegun: false } next) return null;

        if (IsFar_NeedsLock())
        {
            if (_underWay >= MaxFarUnderWay) return null;
        }
        else
        {
            if (_underWay >= MaxUnderWay) return null;
            if (_underWay > 0 && _expected > 0 && !next.IsOverdue) return null;
        }

        next.HasBegun = true;
        _underWay++;
        asked.Wheel.Remove(next);
        return next;
    }

    // Of look-ups only: a question that is asked twice at a time already has all that more askings could give.
    private bool IsFar_NeedsLock() =>
        _shortest is not null && asked.Clock.GetElapsedTime(0, _shortest.Ticks) > Far;
}
