using System.Text.Json.Serialization;

namespace UPool.Bench.Runner.Results;

/// <summary>What a part has measured: the form that bench/README.md describes.</summary>
/// <param name="Part">Its name.</param>
/// <param name="Rows">What was measured.</param>
internal sealed record PartResult(string Part, IReadOnlyList<Row> Rows)
{
    /// <summary>The unit of the figures of rows that name none of their own.</summary>
    public string? Unit { get; init; }

    /// <summary>The side that the others of a row's name and point are compared with.</summary>
    public string? Reference { get; init; }

    /// <summary>Where, when and of which commit; set by the runner.</summary>
    public RunFacts? Run { get; init; }

    /// <summary>The row of a name, a side and a point; null when it was not measured.</summary>
    public Row? Find(string name, string side, params ReadOnlySpan<(string Axis, double Value)> point)
    {
        foreach (Row row in Rows)
        {
            if (row.Name == name && row.Side == side && row.IsAt(point)) return row;
        }

        return null;
    }
}

/// <summary>One thing measured of one side at one point.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Side">Of which side.</param>
/// <param name="Point">Under which circumstances: a number for each axis.</param>
/// <param name="Values">One figure of each round.</param>
internal sealed record Row(
    string Name, string Side, IReadOnlyDictionary<string, double> Point, IReadOnlyList<double> Values)
{
    /// <summary>The unit of the figures, when it is not the part's.</summary>
    public string? Unit { get; init; }

    /// <summary>Bytes that were allocated for each operation, where that was measured.</summary>
    public double? Bytes { get; init; }

    /// <summary>Other figures of the same rounds, by their name and unit.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<double>>? Also { get; init; }

    /// <summary>Whether it was measured at a point; axes that the point does not name may have any value.</summary>
    public bool IsAt(ReadOnlySpan<(string Axis, double Value)> point)
    {
        foreach ((string axis, double value) in point)
        {
            if (!Point.TryGetValue(axis, out double own) || own != value) return false;
        }

        return true;
    }
}

/// <summary>Where, when and of what a part was measured.</summary>
/// <param name="Commit">The commit; with + when files differed from it.</param>
/// <param name="Date">When it began, UTC.</param>
/// <param name="Cores">The processors that a process of this machine may use.</param>
/// <param name="Processor">Their name.</param>
/// <param name="MemoryGb">The machine's memory.</param>
/// <param name="System">Kernel, .NET and database.</param>
/// <param name="Load">The machine's load of a minute before it began.</param>
/// <param name="Rounds">How many rounds.</param>
/// <param name="Seconds">How long each figure was measured in each round.</param>
internal sealed record RunFacts(
    string Commit, DateTime Date, int Cores, string Processor, double MemoryGb, string System, double Load, int Rounds,
    double Seconds);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectRequiredConstructorParameters = true,
    WriteIndented = true)]
[JsonSerializable(typeof(PartResult))]
internal sealed partial class ResultJson : JsonSerializerContext;
