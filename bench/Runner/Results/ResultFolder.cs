using System.Text.Json;

namespace UPool.Bench.Runner.Results;

/// <summary>Stores each part's newest result in <c>part.json</c>.</summary>
internal sealed class ResultFolder(string path)
{
    /// <summary>The part's file.</summary>
    public string FileOf(string part) => Path.Combine(path, $"{part}.json");

    /// <summary>The part's newest result; null if the part was never measured.</summary>
    /// <exception cref="InvalidDataException">The file does not have the form of bench/README.md.</exception>
    public async Task<PartResult?> ReadAsync(string part)
    {
        if (!File.Exists(FileOf(part))) return null;

        await using FileStream file = File.OpenRead(FileOf(part));
        try
        {
            return await JsonSerializer.DeserializeAsync(file, ResultJson.Default.PartResult);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{FileOf(part)} is not in the form of bench/README.md.", exception);
        }
    }

    /// <summary>Stores a result in place of the previous one.</summary>
    public async Task WriteAsync(PartResult result)
    {
        Directory.CreateDirectory(path);
        await File.WriteAllTextAsync(
            FileOf(result.Part), JsonSerializer.Serialize(result, ResultJson.Default.PartResult) + "\n");
    }
}
