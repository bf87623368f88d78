namespace UPool.Bench.Runner.Sides;

/// <summary>A service that serves <c>/user/list</c> and <c>/user/{id}</c>. All sides have the same number of
/// connections to the database.</summary>
/// <param name="Name">The side's name in tables.</param>
/// <param name="Kind">The programs of the side.</param>
/// <param name="IsShared">Whether callers share reads in the process of the pool.</param>
/// <param name="SharesCalls">Whether requests share the calls to that process.</param>
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

    /// <summary>The connections of each side. The original's two processes have half of them each.</summary>
    public const int Connections = 10;

    /// <summary>All sides.</summary>
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

/// <summary>The programs of a side.</summary>
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
