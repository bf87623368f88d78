using System.Globalization;

using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Runner;

/// <summary>The settings of a run.</summary>
/// <param name="Rounds">How often each figure is measured.</param>
/// <param name="Seconds">How long each measurement takes; wrk takes whole seconds only.</param>
/// <param name="Sides">The sides measured over HTTP.</param>
internal sealed record Settings(int Rounds, int Seconds, IReadOnlyList<Side> Sides)
{
    // Ten rounds give an interval for a median; with one second each, the bars take a quarter of an hour.
    private const int DefaultRounds = 10;
    private const int DefaultSeconds = 1;

    /// <summary>Reads ROUNDS, SECONDS_EACH and SIDES (names separated by spaces).</summary>
    /// <exception cref="ArgumentException">One of them is invalid.</exception>
    public static Settings FromEnvironment() => new(
        Number("ROUNDS", DefaultRounds), Number("SECONDS_EACH", DefaultSeconds),
        Environment.GetEnvironmentVariable("SIDES") is { Length: > 0 } names
            ? [.. names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Named)]
            : Side.All);

    private static Side Named(string name) => Side.All.FirstOrDefault(side => side.Name == name)
        ?? throw new ArgumentException(
            $"Unknown side '{name}'. The sides are: {string.Join(' ', Side.All.Select(static side => side.Name))}");

    private static int Number(string name, int standard)
    {
        string? text = Environment.GetEnvironmentVariable(name);
        if (string.IsNullOrEmpty(text)) return standard;

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0
            ? number
            : throw new ArgumentException($"{name} must be a whole number from 1, not '{text}'.");
    }
}
