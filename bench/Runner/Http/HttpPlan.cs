using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Runner.Http;

/// <summary>One figure of the part over HTTP.</summary>
/// <param name="IsDelayed">Whether the proxy adds a millisecond of latency to the database.</param>
/// <param name="IsById">Whether single users are read rather than the list.</param>
/// <param name="Clients">The number of concurrent clients.</param>
/// <param name="Side">The side.</param>
internal sealed record HttpCell(bool IsDelayed, bool IsById, int Clients, Side Side);

/// <summary>The figures to measure.</summary>
internal static class HttpPlan
{
    private static readonly int[] AllClients = [8, 64, 256];
    private static readonly int[] DelayedClients = [8, 64];

    /// <summary>Every side at every point.</summary>
    public static IReadOnlyList<HttpCell> Full { get; } =
    [
        .. from isDelayed in (bool[])[false, true]
           from isById in (bool[])[false, true]
           from clients in isDelayed ? DelayedClients : AllClients
           from side in Side.All
           select new HttpCell(isDelayed, isById, clients, side),
    ];

    /// <summary>The figures that the bars need.</summary>
    public static IReadOnlyList<HttpCell> Bars { get; } = [.. Full.Where(IsNeeded)];

    private static bool IsNeeded(HttpCell cell)
    {
        bool isUPool = cell.Side.Kind is SideKind.CoHosted or SideKind.Separate;
        if (cell.IsDelayed) return isUPool && cell.Side.Name != Side.SeparateSharedCalls;
        if (cell.Side.Name is Side.Best or Side.CoHostedShared) return true;
        if (cell.Clients == 8) return cell.Side.Name == Side.CoHosted;

        // No bar needs the last one; it shows the default of separate processes.
        return !cell.IsById
            && cell.Side.Name is (Side.Original or Side.CoHosted or Side.SeparateShared or Side.SeparateSharedCalls);
    }
}
