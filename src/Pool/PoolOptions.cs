namespace UPool;

/// <summary>The settings of a pool. <see cref="Validate"/> names every value that is out of its range. A pool copies
/// them when it is created: later edits have no effect.</summary>
public sealed class PoolOptions
{
    /// <summary>The pool's name in messages, logs and metrics. Default <c>upool</c>; 1 to 64 characters.</summary>
    public string Name { get; set; } = "upool";

    /// <summary>
    /// The most sessions the pool may have on the server, including those being opened or closed (INV-1). Default 10; 1
    /// to 10,000. Change it in a running pool through <see cref="PooledDataSource.MaxConnections"/>.
    /// </summary>
    public int MaxConnections { get; set; } = 10;

    /// <summary>
    /// How long a rent waits for a connection. Default 400 ms (the total of the original's three retries); 1 ms to 1 h.
    /// </summary>
    public TimeSpan RentTimeout { get; set; } = TimeSpan.FromMilliseconds(400);

    /// <summary>
    /// The most pending rents; a further one is refused with <see cref="RefusalReason.QueueFull"/>. Default 1,000; 0 to
    /// 1,000,000. In a longer queue, callers give up before they are served.
    /// </summary>
    public int MaxPending { get; set; } = 1000;

    /// <summary>
    /// The most connections opened at a time. Default 4; 1 to 100. An open costs the server far more than a statement;
    /// after a restart, opening all at once would overload it.
    /// </summary>
    public int MaxOpening { get; set; } = 4;

    /// <summary>
    /// How long an open may take before the pool counts the server as not answering and refuses pending rents at once.
    /// The open stays under way, as the only probe. Default 2 s; 100 ms to 1 h.
    /// </summary>
    public TimeSpan OpenTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The longest pause between two attempts to open while the database is unavailable. Pauses start at 50 ms, double,
    /// and are shortened at random by up to half. Default 1 s; 50 ms to 1 h.
    /// </summary>
    public TimeSpan MaxOpenRetryInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A connection that has received nothing from the server for longer is pinged before it is rented; if it does not
    /// answer within half of <see cref="RentTimeout"/>, it is replaced. Default 500 ms; 0 (always) to 1 h.
    /// </summary>
    public TimeSpan ValidationInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// How long a ping, a reset or a close may take before the pool discards the connection (its permit stays held
    /// until the server has dropped the session). Default 2 s; 10 ms to 1 h.
    /// </summary>
    public TimeSpan RecoveryTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The longest a statement may run unless its command or request sets less. Default 30 s; 1 s to 24 h.
    /// </summary>
    public TimeSpan StatementTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>A connection idle for longer is pruned. Default 5 min; 1 s to 24 h. Keep it below the server's
    /// <c>wait_timeout</c>.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// The age at which a connection is retired, shortened at random by up to a tenth so that connections do not all
    /// retire together. Default 30 min; 1 s to 30 days.
    /// </summary>
    public TimeSpan MaxLifetime { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>A rent held for longer is logged once, with the place in the code that rented. Default 30 s; 100 ms to
    /// 24 h. <see cref="Timeout.InfiniteTimeSpan"/> disables the report.</summary>
    public TimeSpan HeldTooLongTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a drain waits for rented connections before it severs them. Default 10 s; 0 to 1 h.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Whether synchronous open and execute are allowed; they block a thread. Default false: they
    /// throw.</summary>
    public bool AllowSynchronous { get; set; }

    /// <summary>A copy of these settings.</summary>
    internal PoolOptions Copy() => (PoolOptions)MemberwiseClone();

    /// <summary>One message for each value out of its range, naming the option; empty when all are valid.</summary>
    public IReadOnlyList<string> Validate()
    {
        List<string> problems = [];
        if (string.IsNullOrWhiteSpace(Name) || Name.Length > 64)
            problems.Add($"{nameof(Name)} must have 1 to 64 characters.");

        Number(nameof(MaxConnections), MaxConnections, 1, 10_000);
        Number(nameof(MaxPending), MaxPending, 0, 1_000_000);
        Number(nameof(MaxOpening), MaxOpening, 1, 100);
        Time(nameof(RentTimeout), RentTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1));
        Time(nameof(OpenTimeout), OpenTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1));
        Time(nameof(MaxOpenRetryInterval), MaxOpenRetryInterval, TimeSpan.FromMilliseconds(50), TimeSpan.FromHours(1));
        Time(nameof(ValidationInterval), ValidationInterval, TimeSpan.Zero, TimeSpan.FromHours(1));
        Time(nameof(RecoveryTimeout), RecoveryTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1));
        Time(nameof(StatementTimeout), StatementTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(24));
        Time(nameof(IdleTimeout), IdleTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(24));
        Time(nameof(MaxLifetime), MaxLifetime, TimeSpan.FromSeconds(1), TimeSpan.FromDays(30));
        Time(nameof(DrainTimeout), DrainTimeout, TimeSpan.Zero, TimeSpan.FromHours(1));
        if (HeldTooLongTimeout != Timeout.InfiniteTimeSpan)
        {
            Time(
                nameof(HeldTooLongTimeout), HeldTooLongTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(24));
        }

        return problems;

        void Number(string name, int value, int min, int max)
        {
            if (value < min || value > max)
                problems.Add(FormattableString.Invariant($"{name} is {value}; it must be {min:N0} to {max:N0}."));
        }

        void Time(string name, TimeSpan value, TimeSpan min, TimeSpan max)
        {
            if (value < min || value > max) problems.Add($"{name} is {value}; it must be {min} to {max}.");
        }
    }
}
