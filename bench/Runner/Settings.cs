using System.Globalization;

using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Runner;

/// <summary>How long to measure, and whom.</summary>
/// <param name="Rounds">How often each figure is taken.</param>
/// <param name="Seconds">How long each takes; wrk counts whole ones.</param>
/// <param name="Sides">Who is measured over HTTP.</param>
internal sealed record Settings(int Rounds, int Seconds, IReadOnlyList<Side> Sides)
{
    // Ten rounds give a median's interval; a second each, and the bars are there in a quarter of an hour.
    private const int DefaultRounds = 10;
    private const int DefaultSeconds = 1;

    /// <summary>ROUNDS, SECONDS_EACH and SIDES (names with blanks between them).</summary>
    /// <exception cref="ArgumentException">One of them cannot be used.</exception>
    public static Settings FromEnvironment() => new(
        Number("ROUNDS", DefaultRounds), Number("SECONDS_EACH", DefaultSeconds),
        Environment.GetEnvironmentVariable("SIDES") is { Length: > 0 } names
            ? [.. names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Named)]
            : Side.All);

    private static Side Named(string name) => Side.All.FirstOrDefault(side => side.Name == name)
        ?? throw new ArgumentException(
            $"There is no side '{name}', but: {string.Join(' ', Side.All.Select(static side => side.Name))}");

    private static int Number(string name, int standard)
    {
        string? text = Environment.GetEnvironmentVariable(name);
        if (string.IsNullOrEmpty(text)) return standard;

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0
            ? number
            : throw new ArgumentException($"{name} must be a whole number from 1, not '{text}'.");
    }
}
