namespace UPool;

/// <summary>Why a rent was refused. Nothing was sent to the database.</summary>
public enum RefusalReason
{
    /// <summary>No connection came free within the rent timeout or before the request's deadline.</summary>
    TimedOut = 1,

    /// <summary>The queue of pending rents is full.</summary>
    QueueFull = 2,

    /// <summary>At the measured pace this rent could not have been served before its deadline.</summary>
    PredictedLate = 3,

    /// <summary>The pool holds no permits, or the server's own connection limit is reached.</summary>
    NoPermits = 4,

    /// <summary>The pool is draining or closed.</summary>
    Draining = 5,

    /// <summary>The database cannot be reached, or refuses this account.</summary>
    Unavailable = 6,
}

/// <summary>The name of a refusal in headers and metrics.</summary>
public static class RefusalReasons
{
    /// <summary>The name: <c>timed-out</c>, <c>queue-full</c>, <c>predicted-late</c>, <c>no-permits</c>,
    /// <c>draining</c> or <c>unavailable</c>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not a defined reason.</exception>
    public static string ToHeader(this RefusalReason reason) => reason switch
    {
        RefusalReason.TimedOut => "timed-out",
        RefusalReason.QueueFull => "queue-full",
        RefusalReason.PredictedLate => "predicted-late",
        RefusalReason.NoPermits => "no-permits",
        RefusalReason.Draining => "draining",
        RefusalReason.Unavailable => "unavailable",
        _ => throw new ArgumentOutOfRangeException(nameof(reason)),
    };
}
