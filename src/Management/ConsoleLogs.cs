using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Console;

namespace UPool.Management;

/// <summary>Log lines for who reads them: for a person at a terminal, and in JSON for everything else.</summary>
internal static class ConsoleLogs
{
    private const string Section = "Logging:Console";

    /// <summary>Sets the form that holds unless a setting says otherwise.</summary>
    public static void AddDefaults(WebApplicationBuilder builder)
    {
        string form = builder.Configuration[$"{Section}:FormatterName"]
            ?? (Console.IsOutputRedirected ? ConsoleFormatterNames.Json : ConsoleFormatterNames.Simple);
        bool isForMachines = form == ConsoleFormatterNames.Json;

        // The lowest of all sources.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>
            {
                [$"{Section}:FormatterName"] = form,
                [$"{Section}:FormatterOptions:SingleLine"] = "true",
                [$"{Section}:FormatterOptions:TimestampFormat"] =
                    "yyyy-MM-dd'T'HH:mm:ss.fff'Z'" + (isForMachines ? "" : " "),
                [$"{Section}:FormatterOptions:UseUtcTimestamp"] = "true",
            },
        });

        // A message is searched for by its words, so quotes and letters beyond ASCII stay what they are.
        builder.Services.Configure<JsonConsoleFormatterOptions>(static json =>
            json.JsonWriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
