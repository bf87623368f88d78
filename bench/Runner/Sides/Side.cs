namespace UPool.Bench.Runner.Sides;

/// <summary>A service that answers <c>/user/list</c> and <c>/user/{id}</c>, all with the same number of connections to
/// the database.</summary>
/// <param name="Name">What tables call it.</param>
/// <param name="Kind">Which programs it is made of.</param>
/// <param name="IsShared">Whether reads are shared where the pool is.</param>
/// <param name="SharesCalls">Whether requests share the calls to it.</param>
internal sealed record Side(string Name, SideKind Kind, bool IsShared = false, bool SharesCalls = false)
{
    public const string Original = "original";
    public const string Defaults = "handwritten-defaults";
    public const string Best = "handwritten-best";
    public const string CoHosted = "cohosted";
    public const string CoHostedShared = "cohosted-shared";
    public const string Separate = "separate";
    public const string SeparateShared = "separate-shared";
    public const string SeparateSharedCalls = "separate-shared-calls";

    /// <summary>The connections that each side has. The original's two processes have half of them each.</summary>
    public const int Connections = 10;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Side> All { get; } =
    [
        new(Original, SideKind.Original),
        new(Defaults, SideKind.HandwrittenDefaults),
        new(Best, SideKind.HandwrittenBest),
        new(CoHosted, SideKind.CoHosted),
        new(CoHostedShared, SideKind.CoHosted, IsShared: true, SharesCalls: true),
        new(Separate, SideKind.Separate),
        new(SeparateShared, SideKind.Separate, IsShared: true),
        new(SeparateSharedCalls, SideKind.Separate, IsShared: true, SharesCalls: true),
    ];
}

/// <summary>Which programs a side is made of.</summary>
internal enum SideKind
{
    /// <summary>uwsgi, gevent, flask and pymysql.</summary>
    Original,

    /// <summary>A minimal API over MySqlConnector's pool, which resets every session.</summary>
    HandwrittenDefaults,

    /// <summary>The same without the reset.</summary>
    HandwrittenBest,

    /// <summary>Api with a silo in its process.</summary>
    CoHosted,

    /// <summary>Api as a client of silos.</summary>
    Separate,
}
