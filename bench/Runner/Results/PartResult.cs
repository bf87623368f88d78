using System.Text.Json.Serialization;

namespace UPool.Bench.Runner.Results;

/// <summary>The result of a part, in the form that bench/README.md describes.</summary>
/// <param name="Part">The part's name.</param>
/// <param name="Rows">The measurements.</param>
internal sealed record PartResult(string Part, IReadOnlyList<Row> Rows)
{
    /// <summary>The unit of the figures of rows without their own unit.</summary>
    public string? Unit { get; init; }

    /// <summary>The side with which the others of the same name and point are compared.</summary>
    public string? Reference { get; init; }

    /// <summary>Machine, time and commit; set by the runner.</summary>
    public RunFacts? Run { get; init; }

    /// <summary>The row of a name, a side and a point; null if not measured.</summary>
    public Row? Find(string name, string side, params ReadOnlySpan<(string Axis, double Value)> point)
    {
        foreach (Row row in Rows)
        {
            if (row.Name == name && row.Side == side && row.IsAt(point)) return row;
        }

        return null;
    }
}

/// <summary>One measurement of one side at one point.</summary>
/// <param name="Name">The name of the measurement.</param>
/// <param name="Side">The side.</param>
/// <param name="Point">The conditions: a number for each axis.</param>
/// <param name="Values">One figure per round.</param>
internal sealed record Row(
    string Name, string Side, IReadOnlyDictionary<string, double> Point, IReadOnlyList<double> Values)
{
    /// <summary>The unit of the figures, if it is not the part's.</summary>
    public string? Unit { get; init; }

    /// <summary>The bytes allocated per operation, if measured.</summary>
    public double? Bytes { get; init; }

    /// <summary>Other figures of the same rounds, by their name and unit.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<double>>? Also { get; init; }

    /// <summary>Whether the row is at a point; axes that the point does not name may have any value.</summary>
    public bool IsAt(ReadOnlySpan<(string Axis, double Value)> point)
    {
        foreach ((string axis, double value) in point)
        {
            if (!Point.TryGetValue(axis, out double own) || own != value) return false;
        }

        return true;
    }
}

/// <summary>The machine, time and commit of a measurement.</summary>
/// <param name="Commit">The commit; followed by + if files differed from it.</param>
/// <param name="Date">The time of the start, UTC.</param>
/// <param name="Cores">The processors that a process of this machine may use.</param>
/// <param name="Processor">The name of the processors.</param>
/// <param name="MemoryGb">The machine's memory.</param>
/// <param name="System">Kernel, .NET and database.</param>
/// <param name="Load">The machine's one-minute load before the start.</param>
/// <param name="Rounds">The number of rounds.</param>
/// <param name="Seconds">The duration of each measurement in each round.</param>
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
